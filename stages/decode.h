#pragma once

#include <string_view>

#include "base/result.h"
#include "inference/registry.h"
#include "queue/job_store.h"
#include "queue/memory_ledger.h"
#include "stages/device_pool.h"
#include "stages/picture_run.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// File -> Picture. Reads the header first, plans the picture's way, sets the memory for it aside (waiting for it when needed),
/// then decodes. A picture that a cloud node has restored comes back through here: its pixels are those that were sent back, all
/// else is the original's; when they cannot be used, it is restored here.
/// Threads: process() from several at once for different runs.
class Decode {
 public:
  static constexpr std::string_view kName = "decode";

  struct Options {
    int largest_tile = 512;
    Bytes for_batch;  ///< what is set aside for weights and the batches in flight already, for good
  };

  Decode(const Options& options, const SettingsCell& settings, const inference::Registry& networks, DevicePool& devices,
         queue::MemoryLedger& memory, queue::JobStore& store)
      : options_(options), settings_(settings), networks_(networks), devices_(devices), memory_(memory), store_(store) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  [[nodiscard]] static Result<void> read_source(PictureRun& run, const Settings& settings);
  [[nodiscard]] Result<void> take_returned(PictureRun& run, const Settings& settings);

  const Options options_;
  const SettingsCell& settings_;
  const inference::Registry& networks_;
  DevicePool& devices_;
  queue::MemoryLedger& memory_;
  queue::JobStore& store_;
};

}  // namespace retouchd::stages
