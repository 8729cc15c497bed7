#include "queue/tile_scheduler.h"

#include <algorithm>
#include <tuple>

namespace retouchd::queue {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongest = std::chrono::hours(24);  // so that no sum of times overflows

Bytes bytes_of(const Tile& tile) { return {tile.window.total() * tile.window.elemSize()}; }

}  // namespace

bool TileScheduler::push(Tile tile) {
  std::unique_lock lock(mutex_);
  if (!tile.preview) room_.wait(lock, [this] { return closed_ || waiting_full_pass_ < capacity_; });
  if (closed_) return false;
  insert(std::move(tile));
  filled_.notify_all();
  return true;
}

bool TileScheduler::push_preview(std::vector<Tile> tiles) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  for (Tile& tile : tiles) insert(std::move(tile));
  filled_.notify_all();
  return true;
}

void TileScheduler::insert(Tile tile) {
  count_in(tile);
  const std::uint64_t level = accounts_.picture_level(tile.client);
  BinQueue& queue = bins_.try_emplace(tile.bin, tile.bin).first->second;
  queue.push(std::move(tile), ++arrived_, level);
}

void TileScheduler::put_back(std::vector<Tile> tiles) {
  const std::lock_guard lock(mutex_);
  for (Tile& tile : tiles) {
    count_in(tile);
    BinQueue& queue = bins_.try_emplace(tile.bin, tile.bin).first->second;
    queue.put_back(std::move(tile));
  }
  filled_.notify_all();
}

std::optional<Batch> TileScheduler::pull(const PullRequest& request, milliseconds limit) {
  std::vector<Tile> dropped;  // outlives the lock: with them their owners may go
  std::unique_lock lock(mutex_);
  const auto until = Steady::now() + std::min(limit, kLongest);
  std::optional<Steady::time_point> company_until;
  while (true) {
    if (const auto choice = choose(request, company_until)) {
      Batch batch = take(*choice, dropped);
      if (!batch.tiles.empty()) return batch;
      continue;
    }
    if (closed_ && waiting_ == 0) return std::nullopt;
    if (Steady::now() >= until) return std::nullopt;
    filled_.wait_until(lock, std::min(until, company_until.value_or(until)));
  }
}

bool TileScheduler::goes_before(const BinQueue& a, const BinQueue& b) const {
  if (a.best_rank() != b.best_rank()) return a.best_rank() < b.best_rank();
  const auto place = [this](const FairLanes::Next& next) {
    const Tile& tile = *next.tile;
    return std::tuple(accounts_.level(tile.client), accounts_.picture_level(tile.client, next.picture_level), tile.picture);
  };
  return place(a.next()) < place(b.next());
}

TileScheduler::Bins::iterator TileScheduler::best_bin(const PullRequest* request) {
  auto best = bins_.end();
  for (auto bin = bins_.begin(); bin != bins_.end(); ++bin) {
    if (request != nullptr && bin->second.size() < request->most(bin->first)) continue;
    if (best == bins_.end() || goes_before(bin->second, best->second)) best = bin;
  }
  return best;
}

std::optional<TileScheduler::Choice> TileScheduler::choose(const PullRequest& request,
                                                           std::optional<Steady::time_point>& company_until) {
  const auto best = best_bin(nullptr);
  if (best == bins_.end()) {
    company_until.reset();
    return std::nullopt;
  }
  const auto choice = [&](Bins::iterator bin, bool is_aged) {
    const FairLanes::Next next = best->second.next();
    accounts_.begin_turn(next.tile->client, next.picture_level);
    return Choice{bin, std::max<std::size_t>(1, request.most(bin->first)), is_aged};
  };
  if (!best->second.best_rank().full_pass) return choice(best, false);
  if (request.only_previews) {
    company_until.reset();
    return std::nullopt;
  }

  auto next = best;
  if (best->second.size() < request.most(best->first)) {
    const auto full = best_bin(&request);
    if (full != bins_.end()) {
      if (best->second.passed_over < kMostPassedOver) next = full;
    } else if (!closed_) {
      if (!request.is_idle()) {
        company_until.reset();
        return std::nullopt;
      }
      const auto now = Steady::now();
      if (!company_until) company_until = now + std::min(request.max_wait, kLongest);
      if (now < *company_until) return std::nullopt;
    }
  }
  if (++batches_since_aged_ >= kAgedTurn) {
    batches_since_aged_ = 0;
    const auto oldest = std::min_element(bins_.begin(), bins_.end(),
                                         [](const auto& a, const auto& b) { return a.second.oldest() < b.second.oldest(); });
    return choice(oldest, true);
  }
  if (next != best) ++best->second.passed_over;
  return choice(next, false);
}

Batch TileScheduler::take(const Choice& choice, std::vector<Tile>& dropped) {
  Batch batch{choice.bin->first, {}};
  BinQueue& queue = choice.bin->second;
  const auto now = Steady::now();
  const auto put = [&](Tile tile) {
    count_out(tile);
    if (tile.owner->is_abandoned()) {
      dropped.push_back(std::move(tile));
      return;
    }
    accounts_.charge(tile.client, batch.bin.pixels(), now);
    batch.tiles.push_back(std::move(tile));
  };
  queue.passed_over = 0;
  batch.tiles.reserve(std::min(choice.most, queue.size()));
  if (choice.is_aged) {
    for (Tile& tile : queue.take_oldest_picture(choice.most)) put(std::move(tile));
  }
  const bool is_for_preview = !choice.is_aged && !queue.best_rank().full_pass;
  while (queue.size() > 0 && batch.tiles.size() < choice.most) {
    if (is_for_preview && queue.best_rank().full_pass && batch.tiles.size() >= choice.most / 2) break;
    put(queue.take());
  }
  if (queue.size() == 0) bins_.erase(choice.bin);
  room_.notify_all();
  return batch;
}

void TileScheduler::kick() {
  const std::lock_guard lock(mutex_);
  filled_.notify_all();
}

void TileScheduler::close() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  room_.notify_all();
  filled_.notify_all();
}

bool TileScheduler::is_drained() const {
  const std::lock_guard lock(mutex_);
  return closed_ && waiting_ == 0;
}

void TileScheduler::drop_abandoned() {
  std::vector<Tile> dropped;  // outlives the lock
  const std::lock_guard lock(mutex_);
  for (auto bin = bins_.begin(); bin != bins_.end();) {
    for (Tile& tile : bin->second.remove_abandoned()) {
      count_out(tile);
      dropped.push_back(std::move(tile));
    }
    bin = bin->second.size() == 0 ? bins_.erase(bin) : std::next(bin);
  }
  room_.notify_all();
  filled_.notify_all();
}

std::map<std::string, TileScheduler::Share> TileScheduler::shares() const {
  const std::lock_guard lock(mutex_);
  return accounts_.recent(Steady::now());
}

void TileScheduler::count_in(const Tile& tile) {
  ++waiting_;
  if (!tile.preview) ++waiting_full_pass_;
  bytes_ += bytes_of(tile);
  accounts_.tile_came(tile.client);
}

void TileScheduler::count_out(const Tile& tile) {
  --waiting_;
  if (!tile.preview) --waiting_full_pass_;
  bytes_ -= bytes_of(tile);
  accounts_.tile_left(tile.client);
}

std::size_t TileScheduler::depth() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

Bytes TileScheduler::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace retouchd::queue
