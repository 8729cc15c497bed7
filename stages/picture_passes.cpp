#include "stages/picture_passes.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>

#include "image/alpha_channel.h"
#include "stages/seam_meter.h"

namespace retouchd::stages {

/// What the passes have in common; they own it.
struct PicturePasses::Tally {
  const RunPtr run;
  const Ends ends;
  int tiles = 0;  ///< fixed once tiles are pushed or resumed
  std::atomic<int> tiles_done = 0;
  std::atomic<int> passes_left = 0;
  std::mutex mutex{};
  std::optional<double> seam_ratio{};

  void measure_seams(const cv::Mat& restored, const TilePlan& plan) {
    if (plan.count() == 1) return;
    const double ratio = stages::seam_ratio(restored, plan, run->network.scale);
    const std::lock_guard lock(mutex);
    seam_ratio = std::max(seam_ratio.value_or(ratio), ratio);
  }
  void count_pass() {
    if (--passes_left > 0) return;
    run->seam_ratio = seam_ratio;
    run->filled.release();
    ends.complete();
  }
};

PicturePasses::PicturePasses(const RunPtr& run, Ends ends) : tally_(new Tally{run, std::move(ends)}) {
  image::Picture& picture = run->picture;
  add_page(picture, run->plan.tiles, run->source());
  for (std::size_t i = 0; i < picture.pages.size(); ++i) {
    image::Picture& page = picture.pages[i];
    add_page(page, run->page_plans.at(i).tiles, image::fill_hidden_colours(page.colour, page.alpha));
  }
  tally_->tiles = count();
  tally_->passes_left.store(static_cast<int>(passes_.size()));
}

void PicturePasses::add_page(image::Picture& page, const TilePlan& plan, cv::Mat source) {
  // What is captured is released with its pass: nobody else writes to this page.
  const bool is_enlarged = tally_->run->network.scale != 1;
  const bool has_even_alpha = is_enlarged && !page.alpha.empty() && image::is_even(page.alpha);
  const cv::Mat hidden = !is_enlarged && source.data != page.colour.data ? page.colour : cv::Mat();
  add(source, plan, [&page, tally = tally_.get(), plan, hidden, alpha = page.alpha, has_even_alpha](cv::Mat restored) {
    tally->measure_seams(restored, plan);
    if (!hidden.empty()) image::put_back_hidden_colours(hidden, alpha, restored);
    if (has_even_alpha) cv::resize(alpha, page.alpha, restored.size(), 0, 0, cv::INTER_NEAREST);
    page.colour = std::move(restored);
  });
  if (!is_enlarged || page.alpha.empty() || has_even_alpha) return;
  add(page.alpha, plan, [&page, alpha = page.alpha](cv::Mat restored) {
    image::keep_within_neighbours(alpha, restored);
    page.alpha = std::move(restored);
  });
}

void PicturePasses::add(const cv::Mat& source, const TilePlan& plan, std::function<void(cv::Mat restored)> keep) {
  TiledPass::Ends ends;
  ends.complete = [tally = tally_, keep = std::move(keep)](cv::Mat restored) {
    keep(std::move(restored));
    tally->count_pass();
  };
  ends.failed = tally_->ends.failed;
  ends.progress = [tally = tally_](int, int) { tally->ends.progress(++tally->tiles_done, tally->tiles); };
  const int first = count();
  if (tally_->ends.placed) {
    ends.placed = [tally = tally_, first](int index, const cv::Mat& kept) { tally->ends.placed(first + index, kept); };
  }
  const cv::Mat companion = passes_.empty() ? tally_->run->companion : cv::Mat();
  passes_.push_back(std::make_shared<TiledPass>(tally_->run, source, companion, plan, false, std::move(ends)));
  first_index_.push_back(first + plan.count());
}

void PicturePasses::resume(int index, const cv::Mat& kept) {
  if (index < 0 || index >= count()) return;
  const auto pass = std::upper_bound(first_index_.begin(), first_index_.end(), index) - first_index_.begin() - 1;
  passes_[static_cast<std::size_t>(pass)]->resume(index - first_index_[static_cast<std::size_t>(pass)], kept);
}

bool PicturePasses::push_tiles(queue::TileScheduler& scheduler) {
  for (const auto& pass : passes_) {
    if (!TiledPass::push_tiles(pass, scheduler)) return false;
  }
  return true;
}

}  // namespace retouchd::stages
