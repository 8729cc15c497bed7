#pragma once

#include <filesystem>
#include <string_view>

#include "base/result.h"
#include "image/file_codec.h"
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

  Decode(const Options& options, const SettingsCell& settings, image::FileCodec& codec, const inference::Registry& networks,
         DevicePool& devices, queue::MemoryLedger& memory, queue::JobStore& store)
      : options_(options),
        settings_(settings),
        codec_(codec),
        networks_(networks),
        devices_(devices),
        memory_(memory),
        store_(store) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

 private:
  /// A file whose header was read: no memory was set aside for it yet.
  struct Probed {
    InputFile file;
    image::PictureHeader header;
  };
  [[nodiscard]] Result<Probed> probe(const std::filesystem::path& path, Bytes file_limit, const image::DecodeLimits& limits);
  [[nodiscard]] Result<image::Picture> read(const Probed& probed, const std::filesystem::path& path,
                                            const image::DecodeLimits& limits);
  [[nodiscard]] Result<void> read_source(PictureRun& run, const Probed& probed, const image::DecodeLimits& limits);
  [[nodiscard]] Result<void> take_returned(PictureRun& run, const Settings& settings);

  const Options options_;
  const SettingsCell& settings_;
  image::FileCodec& codec_;
  const inference::Registry& networks_;
  DevicePool& devices_;
  queue::MemoryLedger& memory_;
  queue::JobStore& store_;
};

}  // namespace retouchd::stages
