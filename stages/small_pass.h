#pragma once

#include <filesystem>
#include <memory>
#include <opencv2/core/mat.hpp>

#include "base/result.h"
#include "image/file_codec.h"
#include "queue/tile_scheduler.h"
#include "stages/picture_run.h"

namespace retouchd::stages {

/// Sends `small`, a smaller copy or a part of the run's picture, through the run's network and waits for it. `urgent`: its tiles
/// overtake those of full passes. The result has the source's type and its size times the network's scale.
/// kBusy when the daemon stops, kCancelled when the job ended meanwhile, else what the tiles failed with.
[[nodiscard]] Result<cv::Mat> restore_small(const RunPtr& run, const cv::Mat& small, int largest_tile, bool urgent,
                                            queue::TileScheduler& scheduler);

/// Writes a restored smaller copy of `of` as JPEG with its metadata, in its file's colours, atomically.
[[nodiscard]] Result<void> write_small(image::FileCodec& codec, const cv::Mat& restored, const image::Picture& of, int quality,
                                       const std::filesystem::path& path);

}  // namespace retouchd::stages
