#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/units.h"

namespace retouchd::intake {

/// The way back from the threads that answer to the one thread that owns the sockets, which sleeps in poll() on wake_fd().
///
/// Threads: safe. Shared by whoever may still answer, so that an answer that comes after the server has gone falls into it
/// harmlessly.
class ZmqOutbox {
 public:
  struct Reply {
    std::vector<std::string> envelope;  ///< routing frames, as they came
    std::string text;
    std::optional<std::string> content;
    std::string origin;     ///< of the asker, for the owner's bookkeeping like the next
    Bytes request_content;  ///< what came with the request
  };

  /// kInternal when the process has no file descriptor left.
  [[nodiscard]] static Result<std::shared_ptr<ZmqOutbox>> create();

  void post(Reply reply);
  [[nodiscard]] std::deque<Reply> take();

  /// Ends one poll() of the owner.
  void wake() noexcept;
  void clear_wake() noexcept;
  [[nodiscard]] int wake_fd() const noexcept { return wake_.get(); }

 private:
  explicit ZmqOutbox(UniqueFd wake) : wake_(std::move(wake)) {}

  const UniqueFd wake_;
  std::mutex mutex_;
  std::deque<Reply> replies_;  // guarded by mutex_
};

}  // namespace retouchd::intake
