#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <opencv2/core/mat.hpp>
#include <thread>

#include "base/units.h"
#include "stages/tile_log.h"

namespace retouchd::stages {

/// Writes finished tiles into their logs, in a thread of its own, so that a slow or full disk never holds up the device.
///
/// A tile that finds the queue full, or that the disk refuses, is not kept: after a crash it would be computed again, nothing
/// else. Each log with news is synced at most once per `sync_every`.
///
/// Threads: any number. Shutdown: the destructor writes and syncs what is queued; the files stay for the next start.
class TileLogWriter {
 public:
  using Clock = std::chrono::steady_clock;

  /// `capacity`: bytes of tiles that may wait; they are not in the memory ledger.
  explicit TileLogWriter(Bytes capacity = mebibytes(128), Clock::duration sync_every = std::chrono::seconds(5));
  ~TileLogWriter();
  TileLogWriter(const TileLogWriter&) = delete;
  TileLogWriter& operator=(const TileLogWriter&) = delete;

  /// Never blocks. Nobody may change the pixels afterwards. The log belongs to the writer from its first add() to its finish().
  void add(std::shared_ptr<TileLog> log, int index, cv::Mat pixels);

  /// The picture is done: drops what is queued of it, waits for the tile that is being written, and removes the file.
  void finish(const std::shared_ptr<TileLog>& log);

  /// Tiles that were not kept since the start.
  [[nodiscard]] std::uint64_t dropped() const;

 private:
  struct Entry {
    std::shared_ptr<TileLog> log;
    int index = 0;
    cv::Mat pixels;
    Bytes size;
  };
  /// What is known of a log as long as somebody has it.
  struct State {
    bool has_warned = false;
    std::shared_ptr<TileLog> unsynced;  ///< itself while it has news; keeps it open until they are synced
    Clock::time_point next_sync;
  };
  using States = std::map<std::weak_ptr<TileLog>, State, std::owner_less<>>;

  void run();
  void write_next(std::unique_lock<std::mutex>& lock);
  void sync(States::iterator due, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] States::iterator next_due();
  void warn_once(const std::shared_ptr<TileLog>& log, const std::string& why);  ///< under the lock

  const Bytes capacity_;
  const Clock::duration sync_every_;
  mutable std::mutex mutex_;
  std::condition_variable news_;
  std::condition_variable idle_;
  std::deque<Entry> queue_;
  States states_;
  Bytes queued_;
  std::uint64_t dropped_ = 0;
  std::shared_ptr<TileLog> busy_;  ///< being written or synced now, without the lock
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace retouchd::stages
