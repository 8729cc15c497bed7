#include "cli/submission.h"

#include <utility>

namespace retouchd::cli {
namespace {

constexpr std::size_t kWindow = 512;
constexpr std::chrono::seconds kSendAgain{5};
constexpr std::chrono::seconds kGone{20};
constexpr std::chrono::milliseconds kBusyPause{2'000};
constexpr std::string_view kPrefix = "submit-";

}  // namespace

Submission::Submission(wire::Client& client, std::vector<wire::Submit> submits, bool persist, Answered answered)
    : client_(client),
      submits_(std::move(submits)),
      persist_(persist),
      answered_(std::move(answered)),
      heard_at_(std::chrono::steady_clock::now()) {}

bool Submission::take(const wire::Reply& reply) {
  if (!reply.id.starts_with(kPrefix)) return false;
  const auto now = std::chrono::steady_clock::now();
  heard_at_ = now;
  const std::size_t index = std::stoul(reply.id.substr(kPrefix.size()));
  if (under_way_.erase(index) == 0) return true;  // the second answer to one that was sent twice
  if (persist_ && reply.error && reply.error->code == ErrorCode::kBusy) {
    later_[index] = now + reply.retry_after.value_or(kBusyPause);
    return true;
  }
  finish(index, reply);
  return true;
}

void Submission::finish(std::size_t index, const wire::Reply& reply) {
  ++answered_count_;
  answered_(submits_[index], reply);
}

Result<void> Submission::send(std::size_t index, TimePoint now) {
  auto sent = client_.send({std::string(kPrefix) + std::to_string(index), submits_[index]});
  if (!sent && sent.error().code == ErrorCode::kInvalidRequest) {
    // A name that the protocol cannot carry; the others can still go.
    wire::Reply refusal;
    refusal.error = sent.error();
    finish(index, refusal);
    return {};
  }
  if (under_way_.empty()) heard_at_ = now;
  under_way_[index] = now;
  return sent;
}

Result<void> Submission::tick(TimePoint now) {
  if (!under_way_.empty() && now - heard_at_ > kGone) {
    return make_error(ErrorCode::kUnreachable, "the daemon has stopped answering");
  }
  for (auto& [index, sent] : under_way_) {
    if (now - sent < kSendAgain || now - heard_at_ < kSendAgain) continue;
    if (auto again = send(index, now); !again) return again;
  }
  for (auto one = later_.begin(); one != later_.end();) {
    if (one->second > now || under_way_.size() >= kWindow) {
      ++one;
      continue;
    }
    if (auto sent = send(one->first, now); !sent) return sent;
    one = later_.erase(one);
  }
  // While the daemon is busy nothing new is sent: it would only be refused, too.
  while (next_ < submits_.size() && under_way_.size() < kWindow && later_.empty()) {
    if (auto sent = send(next_, now); !sent) return sent;
    ++next_;
  }
  return {};
}

}  // namespace retouchd::cli
