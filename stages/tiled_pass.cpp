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
      result_type_(stages::result_type(run_->network, source_.type())),
      canvas_(plan_, result_type_, run_->network.scale),
      resumed_(static_cast<std::size_t>(plan_.count())),
      left_(plan_.count()) {}

queue::Tile TiledPass::tile_at(int index, std::uint64_t ticket) const {
  queue::Tile tile;
  tile.bin = {run_->network.id(), plan_.tile.width, plan_.tile.height};
  tile.picture = ticket;
  tile.preview = is_preview_;
  tile.priority = run_->job.request.priority;
  tile.deadline = run_->job.request.deadline;
  tile.client = run_->job.request.origin;
  tile.index = index;
  tile.window = source_(plan_.at(index).window);
  if (!companion_.empty()) tile.companion = companion_(plan_.at(index).window);
  return tile;
}

bool TiledPass::push_tiles(const std::shared_ptr<TiledPass>& pass, queue::TileScheduler& scheduler) {
  const std::uint64_t ticket = next_ticket();
  std::vector<queue::Tile> of_preview;
  for (int i = 0; i < pass->plan_.count() && !pass->is_abandoned(); ++i) {
    if (pass->resumed_[static_cast<std::size_t>(i)]) continue;
    queue::Tile tile = pass->tile_at(i, ticket);
    tile.owner = pass;
    if (pass->is_preview_) {
      of_preview.push_back(std::move(tile));
    } else if (!scheduler.push(std::move(tile))) {
      return false;
    }
  }
  return of_preview.empty() || scheduler.push_preview(std::move(of_preview));
}

void TiledPass::resume(int index, const cv::Mat& kept) {
  if (index < 0 || index >= plan_.count() || resumed_[static_cast<std::size_t>(index)]) return;
  if (kept.type() != CV_MAKETYPE(tile_depth(), CV_MAT_CN(result_type_)) || kept.size() != canvas_.kept_size(index)) return;
  resumed_[static_cast<std::size_t>(index)] = true;
  canvas_.place_kept(index, kept);
  count_tile();
}

void TiledPass::place(int index, const cv::Mat& restored) {
  if (is_abandoned()) return;
  const cv::Mat kept = canvas_.kept(index, restored);
  canvas_.place_kept(index, kept);
  if (ends_.placed) ends_.placed(index, kept);
  count_tile();
}

void TiledPass::count_tile() {
  const int left = --left_;
  if (ends_.progress) ends_.progress(plan_.count() - left, plan_.count());
  if (left == 0) ends_.complete(canvas_.take());
}

void TiledPass::fail(const Error& error) {
  if (!failed_.exchange(true)) ends_.failed(error);
}

}  // namespace retouchd::stages
