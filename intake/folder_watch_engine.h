#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "config/config.h"
#include "intake/folder_watch.h"
#include "intake/inbox.h"
#include "intake/inotify.h"
#include "intake/job_submitter.h"
#include "intake/pair_waits.h"
#include "intake/pairing.h"
#include "intake/path_filter.h"
#include "intake/scan_plan.h"
#include "intake/settle_tracker.h"
#include "intake/tree_scan.h"
#include "intake/watch_root.h"
#include "intake/watch_status.h"
#include "intake/watched_file.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// What works behind a FolderWatch: three timers (is the folder there, scan again, a file is due), the notifications, and the
/// walk that is under way feed the SettleTracker; what it calls complete goes to the JobSubmitter.
///
///     events --+                      due           accepted
///              +--> SettleTracker ---------> look up -------> store
///     scans ---+        ^                                       |
///                       +------------- busy: again -------------+
///
/// Where the network restores pairs, both files of a pair are tracked, each for itself; a complete first picture goes by way of
/// PairWaits until the second one is complete. Scans look at pairs from the first picture's side only.
///
/// Threads: everything runs on the strand, except where it says otherwise. Handlers hold it alive, so it may outlive its
/// FolderWatch.
class FolderWatchEngine : public std::enable_shared_from_this<FolderWatchEngine> {
 public:
  FolderWatchEngine(boost::asio::io_context& io, queue::JobStore& store, const Clock& clock, config::Watch watch,
                    FolderWatchOptions options);

  /// Runs `handler(*this)` on the strand unless stopped. Any thread.
  template <class Handler>
  void post(Handler handler) {
    inbox_->post([self = shared_from_this(), handler = std::move(handler)] {
      if (!self->stopped_) handler(*self);
    });
  }

  /// Idempotent. Any thread.
  void stop();

  /// Any thread.
  [[nodiscard]] WatchStatus status() const {
    const std::lock_guard lock(status_mutex_);
    return status_;
  }

  void start();
  void rescan();

 private:
  // The watched folder itself.
  void check_root();
  void attach();
  void detach();
  void close_inotify();
  void poll_instead(const Error& reason);
  void shut_down();

  // Notifications.
  void await_events();
  void read_events();
  void take_event(const Inotify::Event& event);
  void seen_file(const std::string& path, SettleTracker::Evidence evidence);
  void track(const std::string& path, const FileSnapshot& snapshot, SettleTracker::Evidence evidence);

  // Scanning.
  void want_full_scan() { want_scan_of(""); }
  void want_scan_of(const std::string& folder);
  void post_scan();
  bool begin_next_scan();
  void scan();
  void continue_scans();
  void end_scan();
  bool enter_folder(const std::string& folder);
  void scanned_file(const std::string& folder, const std::string& name, int folder_fd);

  // Complete files.
  void check_due();
  void companion_complete(const std::string& path, const FileSnapshot& snapshot);
  void picture_complete(const std::string& path, const FileSnapshot& snapshot, bool may_wait);
  void end_long_waits();
  /// `companion`: of the second picture; null: there is none.
  void submit(const std::string& path, const FileSnapshot& snapshot, const FileIdentity* companion);
  void answered(const JobSubmitter::Answer& answer);
  void arm_due_timer();

  // Small things.
  [[nodiscard]] bool is_full() const { return tracker_.full() || pairs_.full(); }
  void wait(boost::asio::steady_timer& timer, std::chrono::milliseconds time, void (FolderWatchEngine::*then)());
  void publish_status();

  config::Watch watch_;
  FolderWatchOptions options_;
  const Clock& clock_;
  queue::JobStore& store_;
  Inbox::Strand strand_;
  std::shared_ptr<Inbox> inbox_;
  std::atomic<bool> stopped_{false};

  boost::asio::steady_timer root_timer_;
  boost::asio::steady_timer rescan_timer_;
  boost::asio::steady_timer due_timer_;
  WatchRoot root_;
  std::chrono::milliseconds retry_{0};
  bool up_ = false;
  bool polling_ = false;
  std::optional<Inotify> inotify_;
  std::optional<boost::asio::posix::stream_descriptor> descriptor_;

  PathFilter filter_;
  SettleTracker tracker_;
  Pairing pairing_;
  PairWaits pairs_;
  std::shared_ptr<JobSubmitter> submitter_;
  TreeScan::Visitor visitor_;
  std::optional<TreeScan> scan_;
  std::chrono::steady_clock::duration scan_time_{0};  ///< of the scan under way, without its waits
  ScanPlan plan_;
  bool scan_posted_ = false;
  std::uint64_t ignored_ = 0;  ///< in the last whole scan, and seen since
  std::uint64_t ignored_in_scan_ = 0;

  mutable std::mutex status_mutex_;
  WatchStatus status_;
};

}  // namespace retouchd::intake
