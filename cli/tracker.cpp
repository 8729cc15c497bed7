#include "cli/tracker.h"

#include <algorithm>
#include <utility>

#include "cli/job_text.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kPollEvery{2'000};
constexpr std::chrono::milliseconds kDrawEvery{100};
constexpr std::chrono::seconds kAskAgain{5};  // a question is lost when the daemon is started anew
constexpr std::chrono::seconds kGone{30};
constexpr std::size_t kPolled = 64;
constexpr std::size_t kMostEarly = 100'000;
constexpr std::string_view kQuestion = "status-";

bool is_end(const std::string& word) { return word == "done" || word == "failed" || word == "cancelled"; }

Error error_of(const json& job) {
  const auto error = job.find("error");
  if (error == job.end() || !error->is_object()) return make_error(ErrorCode::kInternal, "it failed without a reason");
  return Error{error_code_from_name(text_in(*error, "code")), text_in(*error, "message"), text_in(*error, "stage")};
}

}  // namespace

void Tracker::follow(std::int64_t job, const std::string& label, bool asked) {
  pending_[job] = label;
  if (early_.erase(job) > 0 || asked) ask(job);
}

void Tracker::ask(std::int64_t job) {
  const auto now = std::chrono::steady_clock::now();
  if (asked_.empty()) answered_at_ = now;
  const auto [question, is_new] = asked_.emplace(job, now);
  if (!is_new && now - question->second < kAskAgain) return;
  question->second = now;
  if (!connection_.client().send({std::string(kQuestion) + std::to_string(job), wire::Status{job}})) asked_.erase(job);
}

bool Tracker::take(const wire::Reply& reply) {
  if (!reply.id.starts_with(kQuestion)) return false;
  const std::int64_t id = std::stoll(reply.id.substr(kQuestion.size()));
  answered_at_ = std::chrono::steady_clock::now();
  asked_.erase(id);
  if (!pending_.contains(id)) return true;
  if (reply.error) {
    if (traits_of(reply.error->code).transient) return true;  // asked again later
    console_.complain(*reply.error);
    outcome_.fail(reply.error->code);
    pending_.erase(id);
    bars_.remove(id);
    return true;
  }
  const json& job = reply.body.at("job");
  if (is_end(text_in(job, "state"))) finish(job);
  return true;
}

void Tracker::take(const wire::Event& event) {
  const auto job = event.body.find("job");
  if (job == event.body.end() || !job->is_number_integer()) return;
  const auto id = job->get<std::int64_t>();
  if (!pending_.contains(id)) {
    if (early_.size() < kMostEarly) early_.insert(id);
    return;
  }
  show(event.body);
  if (is_end(text_in(event.body, "kind"))) ask(id);
}

void Tracker::show(const json& event) {
  const auto kind = text_in(event, "kind");
  const auto id = event.at("job").get<std::int64_t>();
  const auto number = [&event](const char* field) {
    const auto value = event.find(field);
    return value != event.end() && value->is_number_integer() ? value->get<std::int64_t>() : 0;
  };
  if (kind == "progress")
    bars_.update(id, pending_[id], text_in(event, "stage"), number("done"), number("total"));
  else if (kind == "started")
    bars_.update(id, pending_[id], "started", 0, 0);
  else if (kind != "preview")
    bars_.remove(id);
  const bool drawn = console_.live() && kind == "progress";
  if (announce_ && console_.json())
    console_.object(event);
  else if (!console_.json() && !drawn && (announce_ || kind == "preview"))
    console_.line(event_line(event));
}

void Tracker::finish(const json& job) {
  const auto id = job.at("id").get<std::int64_t>();
  const auto state = text_in(job, "state");
  bars_.remove(id);
  const std::string label = std::exchange(pending_[id], {});
  pending_.erase(id);
  ++finished_;
  if (console_.json())
    console_.object(job);
  else
    console_.line(end_line(job));
  if (state == "failed") {
    const Error error = error_of(job);
    console_.explain(error, label);
    outcome_.fail(error.code);
  } else if (state == "cancelled") {
    outcome_.fail(ErrorCode::kCancelled);
  }
}

void Tracker::tick(TimePoint now) {
  if (now >= poll_at_) {
    poll_at_ = now + kPollEvery;
    auto next = pending_.upper_bound(last_polled_);
    for (std::size_t i = 0; i < std::min(kPolled, pending_.size()); ++i) {
      if (next == pending_.end()) next = pending_.begin();
      last_polled_ = next->first;
      ask(last_polled_);
      ++next;
    }
  }
  if (now >= draw_at_) {
    draw_at_ = now + kDrawEvery;
    console_.set_footer(is_idle() ? "" : bars_.draw(finished_, expected_));
  }
}

bool Tracker::is_unanswered(TimePoint now) const { return !asked_.empty() && now - answered_at_ > kGone; }

}  // namespace retouchd::cli
