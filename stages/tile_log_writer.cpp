#include "stages/tile_log_writer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <string>
#include <utility>

namespace retouchd::stages {
namespace {

Result<void> append_tile(TileLog& log, int index, const cv::Mat& pixels) {
  try {
    return log.append(index, pixels);
  } catch (const std::exception& error) {  // no memory
    return make_error(ErrorCode::kInternal, error.what());
  }
}

}  // namespace

TileLogWriter::TileLogWriter(Bytes capacity, Clock::duration sync_every) : capacity_(capacity), sync_every_(sync_every) {
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "tile-log");
    run();
  });
}

TileLogWriter::~TileLogWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  news_.notify_one();
  thread_.join();
}

void TileLogWriter::add(std::shared_ptr<TileLog> log, int index, cv::Mat pixels) {
  const Bytes size{pixels.total() * pixels.elemSize()};
  const std::lock_guard lock(mutex_);
  if (queued_ + size > capacity_) {
    ++dropped_;
    warn_once(log, "the disk is slower than the device");
    return;
  }
  queued_ += size;
  queue_.push_back({std::move(log), index, std::move(pixels), size});
  news_.notify_one();
}

void TileLogWriter::finish(const std::shared_ptr<TileLog>& log) {
  std::unique_lock lock(mutex_);
  std::erase_if(queue_, [&](const Entry& entry) {
    if (entry.log != log) return false;
    queued_ -= entry.size;
    return true;
  });
  idle_.wait(lock, [&] { return busy_ != log; });
  states_.erase(log);
  lock.unlock();
  log->remove();
}

std::uint64_t TileLogWriter::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

void TileLogWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    const States::iterator due = next_due();
    const bool has_unsynced = due != states_.end();
    if (has_unsynced && ((stopping_ && queue_.empty()) || due->second.next_sync <= Clock::now())) {
      sync(due, lock);
    } else if (!queue_.empty()) {
      write_next(lock);
    } else if (stopping_) {
      return;
    } else if (has_unsynced) {
      news_.wait_until(lock, due->second.next_sync);
    } else {
      news_.wait(lock);
    }
  }
}

void TileLogWriter::write_next(std::unique_lock<std::mutex>& lock) {
  Entry entry = std::move(queue_.front());
  queue_.pop_front();
  busy_ = entry.log;
  lock.unlock();
  const Result<void> written = append_tile(*entry.log, entry.index, entry.pixels);
  entry.pixels.release();
  lock.lock();
  busy_.reset();
  queued_ -= entry.size;
  if (!written) {
    ++dropped_;
    warn_once(entry.log, written.error().message);
  } else if (State& state = states_[entry.log]; !state.unsynced) {
    state.unsynced = entry.log;
    state.next_sync = Clock::now() + sync_every_;
  }
  idle_.notify_all();
}

void TileLogWriter::sync(States::iterator due, std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<TileLog> log = std::move(due->second.unsynced);
  busy_ = log;
  lock.unlock();
  const Result<void> synced = log->sync();
  lock.lock();
  busy_.reset();
  if (!synced) warn_once(log, synced.error().message);
  std::erase_if(states_, [](const auto& state) { return state.first.expired(); });
  idle_.notify_all();
}

TileLogWriter::States::iterator TileLogWriter::next_due() {
  auto best = states_.end();
  for (auto it = states_.begin(); it != states_.end(); ++it) {
    if (it->second.unsynced && (best == states_.end() || it->second.next_sync < best->second.next_sync)) best = it;
  }
  return best;
}

void TileLogWriter::warn_once(const std::shared_ptr<TileLog>& log, const std::string& why) {
  State& state = states_[log];
  if (std::exchange(state.has_warned, true)) return;
  spdlog::warn("not every finished tile is kept in {}, a crash would cost them: {}", log->file().string(), why);
}

}  // namespace retouchd::stages
