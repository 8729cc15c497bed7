#pragma once

#include <string_view>

#include "base/result.h"
#include "inference/registry.h"
#include "queue/memory_ledger.h"
#include "stages/device_pool.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// File -> Picture. Reads the header first, plans the picture's way, sets the memory for it aside (waiting for it when needed),
/// then decodes.
/// Threads: process() from several at once for different runs.
class Decode {
 public:
  static constexpr std::string_view kName = "decode";

  struct Options {
    int largest_tile = 512;
    Bytes for_batch;  ///< what is set aside for weights and the batches in flight already, for good
  };

  Decode(const Options& options, const SettingsCell& settings, const inference::Registry& networks, DevicePool& devices,
         queue::MemoryLedger& memory)
      : options_(options), settings_(settings), networks_(networks), devices_(devices), memory_(memory) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  const Options options_;
  const SettingsCell& settings_;
  const inference::Registry& networks_;
  DevicePool& devices_;
  queue::MemoryLedger& memory_;
};

}  // namespace retouchd::stages
