#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <mutex>
#include <optional>
#include <utility>

namespace retouchd::intake {

/// The way from other threads (the job store's callbacks) into a strand, which its owner can shut: a callback that comes late
/// then finds it shut instead of an io_context that is gone.
///
/// Threads: safe.
class Inbox {
 public:
  using Strand = boost::asio::strand<boost::asio::io_context::executor_type>;

  explicit Inbox(Strand strand) : strand_(std::move(strand)) {}

  /// Runs `handler` on the strand, soon; drops it when shut.
  template <class Handler>
  void post(Handler&& handler) {
    const std::lock_guard lock(mutex_);
    if (strand_) boost::asio::post(*strand_, std::forward<Handler>(handler));
  }

  void shut() {
    const std::lock_guard lock(mutex_);
    strand_.reset();
  }

 private:
  std::mutex mutex_;
  std::optional<Strand> strand_;
};

}  // namespace retouchd::intake
