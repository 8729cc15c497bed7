#include "stages/preview.h"

#include <future>
#include <nlohmann/json.hpp>

#include "image/codec.h"
#include "image/resize.h"
#include "queue/publisher.h"
#include "stages/tile_plan.h"
#include "stages/tiled_pass.h"

namespace retouchd::stages {

std::filesystem::path Preview::path_of(const std::filesystem::path& folder, queue::JobId id) {
  return folder / (std::to_string(id) + ".jpg");
}

Result<cv::Mat> Preview::restore(const RunPtr& run, const cv::Mat& small) {
  auto promise = std::make_shared<std::promise<Result<cv::Mat>>>();
  auto future = promise->get_future();
  TiledPass::Ends ends;
  ends.complete = [promise](cv::Mat restored) { promise->set_value(std::move(restored)); };
  ends.failed = [promise](const Error& error) { promise->set_value(error); };
  promise.reset();  // from here on the tiles own it: when they are dropped unfinished, the promise breaks
  {
    const auto pass = std::make_shared<TiledPass>(
        run, small, cv::Mat(), plan_best_tiles(small.size(), run->network, options_.largest_tile), true, std::move(ends));
    if (!TiledPass::push_tiles(pass, scheduler_)) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  }
  try {
    return future.get();
  } catch (const std::future_error&) {
    return make_error(ErrorCode::kCancelled, "the job ended while its preview was made");
  }
}

Result<void> Preview::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const auto start = clock_.now();
  const image::Picture& picture = run->picture;
  const bool is_made = !run->job.preview.empty();  // by an earlier attempt
  const double megapixels = static_cast<double>(picture.colour.total()) / 1e6;
  if (!settings->preview || !run->job.request.preview || is_made || megapixels <= settings->preview_megapixels) return {};
  if (!run->companion.empty()) return {};  // a pair has no preview: depth is nothing to look at

  image::Picture small;
  const cv::Mat shrunk =
      image::shrink_to(picture.colour, settings->preview_megapixels / (run->network.scale * run->network.scale));
  auto restored = restore(run, shrunk);
  if (!restored) return restored.error();
  restored->convertTo(small.colour, CV_8U, restored->depth() == CV_16U ? 1.0 / 257.0 : 1.0);
  small.metadata = picture.metadata;  // colours mean nothing without their profile
  image::EncodeOptions options;
  options.jpeg_quality = settings->preview_quality;
  const auto file = image::encode(small, image::FileFormat::kJpeg, options);
  if (!file) return file.error();

  const std::filesystem::path path = path_of(options_.folder, run->job.id);
  if (auto written = queue::Publisher::write_atomically(path, *file); !written) return written;
  nlohmann::json body{{"path", path.string()},
                      {"width", small.width()},
                      {"height", small.height()},
                      {"seconds", std::chrono::duration<double>(clock_.now() - start).count()}};
  if (auto recorded = store_.record_preview(run->claim(), path, body.dump()); !recorded) return recorded;
  observer_.preview_ready(clock_.now() - run->job.accepted_at);
  return {};
}

}  // namespace retouchd::stages
