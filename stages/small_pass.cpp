#include "stages/small_pass.h"

#include <future>

#include "image/file_codec.h"
#include "inference/full_scale.h"
#include "queue/publisher.h"
#include "stages/tile_plan.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

Result<cv::Mat> restore_small(const RunPtr& run, const cv::Mat& small, int largest_tile, bool urgent,
                              queue::TileScheduler& scheduler) {
  auto promise = std::make_shared<std::promise<Result<cv::Mat>>>();
  auto future = promise->get_future();
  TiledPass::Ends ends;
  ends.complete = [promise](cv::Mat restored) { promise->set_value(std::move(restored)); };
  ends.failed = [promise](const Error& error) { promise->set_value(error); };
  promise.reset();  // from here on the tiles own it: when they are dropped unfinished, the promise breaks
  {
    const auto pass = std::make_shared<TiledPass>(
        run, small, cv::Mat(), plan_best_tiles(small.size(), run->network, largest_tile), urgent, std::move(ends));
    if (!TiledPass::push_tiles(pass, scheduler)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  }
  try {
    return future.get();
  } catch (const std::future_error&) {
    return make_error(ErrorCode::kCancelled, "the job ended while a smaller copy was restored");
  }
}

Result<void> write_small(image::FileCodec& codec, const cv::Mat& restored, const image::Picture& of, int quality,
                         const std::filesystem::path& path) {
  image::Picture small;
  small.metadata = of.metadata;  // colours mean nothing without their profile
  small.space = of.space;
  if (of.space == image::WorkingSpace::kExtendedSrgb) {
    small.colour = restored;  // goes back through the profile
  } else {
    restored.convertTo(small.colour, CV_8U, 255.0 / inference::full_scale(restored.depth()));
  }
  image::EncodeOptions options;
  options.jpeg_quality = quality;
  const auto file = codec.encode(small, image::FileFormat::kJpeg, options);
  if (!file) return file.error();
  return queue::Publisher::write_atomically(path, *file);
}

}  // namespace retouchd::stages
