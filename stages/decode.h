#pragma once

#include <string_view>

#include "base/result.h"
#include "inference/registry.h"
#include "queue/memory_ledger.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// File -> Picture. Reads the header first, sets the memory for the whole way aside (waiting for it when needed), then decodes.
/// Threads: process() from several at once for different runs.
class Decode {
 public:
  static constexpr std::string_view kName = "decode";

  Decode(const SettingsCell& settings, const inference::Registry& networks, queue::MemoryLedger& memory)
      : settings_(settings), networks_(networks), memory_(memory) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  const SettingsCell& settings_;
  const inference::Registry& networks_;
  queue::MemoryLedger& memory_;
};

}  // namespace retouchd::stages
