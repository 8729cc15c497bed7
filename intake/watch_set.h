#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "config/config.h"
#include "intake/pairing.h"
#include "intake/watch_status.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// All the watched folders of the daemon: each works on a thread of its own, so that a network share that hangs stops no other.
/// One more thread finishes the jobs that end: it writes and removes failure reports, and moves or deletes originals.
///
/// Threads: all methods are safe. The store must outlive the set.
class WatchSet {
 public:
  struct Options {
    std::string network;                          ///< for watches that name none
    bool preview = true;                          ///< the jobs make previews
    std::string suffix;                           ///< of results: ".avif"; empty: that of the original
    std::vector<std::filesystem::path> excluded;  ///< absolute folders that no watch enters: the state directory

    friend bool operator==(const Options&, const Options&) = default;
  };

  /// Finishes jobs from now on; watches nothing yet. `companion_of` is called until drain() has returned.
  explicit WatchSet(queue::JobStore& store, const Clock& clock = system_clock(), CompanionOf companion_of = {});
  ~WatchSet();  ///< stops
  WatchSet(const WatchSet&) = delete;
  WatchSet& operator=(const WatchSet&) = delete;

  /// Watches these folders and no others, at start and on reload. Those that are the same as before go on undisturbed; jobs of
  /// those that went stay jobs. Does not wait for anything. No effect after drain().
  void replace(std::vector<config::Watch> watches, const Options& options);

  /// Looks through all the folders now.
  void rescan();

  /// To be called with every event of the store: from its listener, at once, it never blocks. For jobs of any origin.
  void on_event(const queue::JobEvent& event);

  /// In the order of the configuration.
  [[nodiscard]] std::vector<WatchStatus> status() const;

  /// Takes no new files from now on, and waits until no thread looks for any; jobs that end are still finished. Idempotent.
  void drain();

  /// Drains, and waits until all jobs of which on_event() told are finished. Idempotent.
  void stop();

 private:
  class Running;

  void finish(queue::JobId id);

  queue::JobStore& store_;
  const Clock& clock_;
  const CompanionOf companion_of_;

  mutable std::mutex mutex_;  ///< guards the next five
  std::vector<std::unique_ptr<Running>> running_;
  std::vector<std::unique_ptr<Running>> retired_;  ///< told to stop; freed when they have
  std::vector<config::Watch> watches_;             ///< the configuration by which jobs are finished, also while draining
  bool draining_ = false;
  bool stopped_ = false;

  std::mutex stop_mutex_;  ///< held by the one that stops
  boost::asio::io_context endings_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> endings_wanted_;
  std::thread finisher_;
};

}  // namespace retouchd::intake
