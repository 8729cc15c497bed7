#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "config/config.h"
#include "intake/inotify.h"
#include "intake/pairing.h"
#include "intake/watch_status.h"
#include "queue/job_store.h"

namespace retouchd::intake {

struct FolderWatchOptions {
  std::string network;                          ///< for a watch that names none
  bool preview = true;                          ///< the jobs make previews
  std::string suffix;                           ///< of results: ".avif"; empty: that of the original
  std::vector<std::filesystem::path> excluded;  ///< absolute folders never entered: outputs, places of moved originals
  std::size_t max_pending = 16'384;             ///< files waiting to be complete; a scan pauses at this number
  int max_accepts = 256;                        ///< accepts on their way to the store
  std::function<bool(const std::filesystem::path&)> needs_polling = lacks_notifications;
  CompanionOf companion_of;  ///< empty: all networks restore single pictures
};

class FolderWatchEngine;

/// Turns the complete pictures in one folder into jobs, each version of a file once. Where the network restores pairs, a job is
/// one version of both files; a picture whose second one does not come for 12 x `settle_unseen` becomes a job that will fail.
///
/// inotify tells what changed; a scan at the start, every `rescan`, and after lost notifications has the last word. Where inotify
/// is not available or does not tell all, the scan runs every `settle_unseen` (polling). A folder that is away is asked for again
/// and again and nothing is concluded from its absence. While the store is busy, files wait here and scans pause.
///
/// Threads: all methods are safe. The work is done on a strand of `io`, in slices of some hundred files; on a network share that
/// hangs it hangs too, so give `io` a thread of its own. Nothing of `io` is touched by others once stop() has returned; the
/// store is used until `io` has run what was posted, so stop, then join io's threads, then destroy the store.
class FolderWatch {
 public:
  FolderWatch(boost::asio::io_context& io, queue::JobStore& store, const Clock& clock, config::Watch watch,
              FolderWatchOptions options);
  ~FolderWatch();  ///< stops
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  void start();
  void stop();    ///< idempotent
  void rescan();  ///< as after lost notifications
  [[nodiscard]] WatchStatus status() const;

 private:
  std::shared_ptr<FolderWatchEngine> engine_;
};

}  // namespace retouchd::intake
