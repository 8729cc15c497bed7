#include "stages/tiled_pass.h"

namespace retouchd::stages {
namespace {

/// Orders pictures by when their tiles came.
std::uint64_t next_ticket() {
  static std::atomic<std::uint64_t> next{1};
  return next++;
}

}  // namespace

int result_type(const inference::NetworkInfo& network, int source) noexcept {
  return network.companion == inference::Companion::kDepth ? CV_16UC1 : source;
}

TiledPass::TiledPass(RunPtr run, cv::Mat source, cv::Mat companion, TilePlan plan, bool is_preview, Ends ends)
    : run_(std::move(run)),
      source_(std::move(source)),
      companion_(std::move(companion)),
      plan_(std::move(plan)),
      is_preview_(is_preview),
      ends_(std::move(ends)),
      canvas_(plan_, result_type(run_->network, source_.type()), run_->network.scale),
      left_(plan_.count()) {}

bool TiledPass::push_tiles(const std::shared_ptr<TiledPass>& pass, queue::TileScheduler& scheduler) {
  const std::uint64_t ticket = next_ticket();
  const TilePlan& plan = pass->plan_;
  for (int i = 0; i < plan.count() && !pass->is_abandoned(); ++i) {
    queue::Tile tile;
    tile.bin = {pass->run_->network.id(), plan.tile.width, plan.tile.height};
    tile.picture = ticket;
    tile.preview = pass->is_preview_;
    tile.priority = pass->run_->job.request.priority;
    tile.index = i;
    tile.window = pass->source_(plan.at(i).window);
    if (!pass->companion_.empty()) tile.companion = pass->companion_(plan.at(i).window);
    tile.owner = pass;
    if (!scheduler.push(std::move(tile))) return false;
  }
  return true;
}

void TiledPass::place(int index, const cv::Mat& restored) {
  if (is_abandoned()) return;
  canvas_.place(index, restored);
  const int left = --left_;
  if (ends_.progress) ends_.progress(plan_.count() - left, plan_.count());
  if (left == 0) ends_.complete(canvas_.take());
}

void TiledPass::fail(const Error& error) {
  if (!failed_.exchange(true)) ends_.failed(error);
}

}  // namespace retouchd::stages
