#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cli/connection.h"
#include "intake/wire/request.h"

namespace retouchd::cli {

/// Sends many submits with a window of them on the way. Each has a key, so that one whose answer was lost is sent again without
/// harm. Confined to one thread.
class Submission {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Answered = std::function<void(const wire::Submit&, const wire::Reply&)>;

  /// `persist`: a busy daemon is asked again when it said so, for as long as it takes; else its answer is final.
  /// `answered` is called once for each final answer.
  Submission(wire::Client& client, std::vector<wire::Submit> submits, bool persist, Answered answered);

  /// True when the reply was to one of ours.
  bool take(const wire::Reply& reply);

  /// To be called often: sends what may go out, again what was not answered. kUnreachable when nothing was answered for too long.
  [[nodiscard]] Result<void> tick(TimePoint now);

  [[nodiscard]] bool is_done() const { return answered_count_ == submits_.size(); }

 private:
  [[nodiscard]] Result<void> send(std::size_t index, TimePoint now);
  void finish(std::size_t index, const wire::Reply& reply);

  wire::Client& client_;
  const std::vector<wire::Submit> submits_;
  const bool persist_;
  const Answered answered_;
  std::size_t next_ = 0;
  std::size_t answered_count_ = 0;
  std::map<std::size_t, TimePoint> under_way_;  ///< index -> when it was sent
  std::map<std::size_t, TimePoint> later_;      ///< index -> when it may be sent again
  TimePoint heard_at_;
};

}  // namespace retouchd::cli
