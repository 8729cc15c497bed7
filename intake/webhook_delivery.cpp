#include "intake/webhook_delivery.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iomanip>
#include <locale>
#include <nlohmann/json.hpp>
#include <sstream>

#include "intake/job_json.h"
#include "intake/webhook_signature.h"
#include "intake/wire/reply.h"

namespace retouchd::intake {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kBatch = 64;
constexpr milliseconds kFirstPause = seconds(5);
constexpr milliseconds kLongestPause = std::chrono::minutes(15);
constexpr seconds kLongestRetryAfter = std::chrono::hours(1);
constexpr milliseconds kStorePause = std::chrono::minutes(1);
constexpr milliseconds kShortestWait{100};
constexpr int kBodyVersion = 1;

std::string receiver_of(const std::string& url) {
  const auto host = url.find("://");
  return url.substr(0, host == std::string::npos ? 0 : url.find_first_of("/?#", host + 3));
}

bool may_pass(int status) { return status == 408 || status == 429 || status >= 500; }

/// The header of that name: seconds, or a date (RFC 9110, 10.2.3).
seconds retry_after(const HttpAnswer& answer, UnixMillis now) {
  const std::string value(answer.header("retry-after"));
  long long wanted = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), wanted);
  if (error != std::errc{} || end != value.data() + value.size()) {
    std::tm date{};
    std::istringstream text(value);
    text.imbue(std::locale::classic());
    text >> std::get_time(&date, "%a, %d %b %Y %H:%M:%S");
    if (!text) return seconds(0);
    wanted = std::chrono::ceil<seconds>(std::chrono::system_clock::from_time_t(timegm(&date)) - now).count();
  }
  return std::clamp(seconds(wanted), seconds(0), kLongestRetryAfter);
}

/// Those that failed least first; else the order that the store gave. The store holds back what comes after a waiting one of the
/// same job.
std::vector<queue::Notification> least_failed_first(std::vector<queue::Notification> due) {
  std::stable_sort(due.begin(), due.end(), [](const auto& a, const auto& b) { return a.attempts < b.attempts; });
  return due;
}

}  // namespace

std::string webhook_body(const queue::Notification& notification, const queue::Job* job) {
  const auto text = [](const std::string& value) { return value.empty() ? nlohmann::json(nullptr) : nlohmann::json(value); };
  const queue::Job unknown;
  const queue::Job& facts = job != nullptr ? *job : unknown;
  const queue::JobRequest& request = facts.request;
  nlohmann::json body;
  body["name"] = text(request.name);
  body["origin"] = text(request.origin);
  body["source"] = request.spooled ? nlohmann::json(nullptr) : text(request.source.string());
  body["output"] = text((facts.output.empty() ? request.output : facts.output).string());
  body["preview"] = text(facts.preview.string());
  body["network"] = text(request.network);
  body["state"] = job != nullptr ? nlohmann::json(queue::name_of(facts.state)) : nlohmann::json(nullptr);
  body.update(event_to_json(notification.event));
  body["v"] = kBodyVersion;
  body["id"] = notification.id;
  return wire::dump(body);
}

WebhookDelivery::WebhookDelivery(const WebhookOptions& options, Surroundings surroundings)
    : options_(options), receiver_(receiver_of(options.url)), around_(std::move(surroundings)) {}

std::optional<milliseconds> WebhookDelivery::run(seconds give_up, const std::atomic<bool>& stop) {
  while (!stop.load()) {
    const auto steady_now = around_.clock.steady_now();
    if (steady_now < paused_until_) return std::chrono::ceil<milliseconds>(paused_until_ - steady_now);
    auto due = around_.store.due_notifications(kBatch);
    if (!due) {
      static_cast<void>(note_store_failure(due.error()));
      return kStorePause;
    }
    if (due->empty()) {
      const auto next = around_.store.next_notification();
      if (!next) {
        static_cast<void>(note_store_failure(next.error()));
        return kStorePause;
      }
      if (!*next) return std::nullopt;
      return std::max(kShortestWait, **next - around_.clock.now());
    }
    bool is_away = false;
    for (const queue::Notification& notification : least_failed_first(*std::move(due))) {
      if (stop.load()) return milliseconds(0);
      // While the receiver is away only what would be given up anyway is looked at.
      if (is_away && !is_too_old(notification, give_up)) continue;
      const Outcome outcome = is_away ? end(notification, "dropped") : deliver(notification, give_up);
      if (outcome == Outcome::kStoreFailed) return kStorePause;
      is_away = is_away || outcome == Outcome::kReceiverFailed;
    }
  }
  return milliseconds(0);
}

Result<HttpRequest> WebhookDelivery::request_for(const queue::Notification& notification, std::string& body) const {
  const auto job = around_.store.get(notification.event.job);
  if (!job && job.error().code != ErrorCode::kUnknownJob) return job.error();
  body = webhook_body(notification, job ? &*job : nullptr);
  const auto now = std::chrono::floor<seconds>(around_.clock.now());
  HttpRequest request;
  request.method = HttpRequest::Method::kPost;
  request.url = options_.url;
  request.headers = {{"Content-Type", "application/json"},
                     {"User-Agent", "retouchd/" + options_.version},
                     {"webhook-id", notification.id},
                     {"webhook-timestamp", std::to_string(now.time_since_epoch().count())}};
  if (!options_.secret.empty())
    request.headers.emplace_back("webhook-signature", webhook_signature(options_.secret, notification.id, now, body));
  request.body = {{reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}};
  return request;
}

WebhookDelivery::Outcome WebhookDelivery::deliver(const queue::Notification& notification, seconds give_up) {
  std::string body;
  const auto request = request_for(notification, body);
  if (!request) return note_store_failure(request.error());
  const auto answer = around_.post(*request);
  if (!answer && answer.error().code == ErrorCode::kCancelled) return Outcome::kReceiverFailed;

  const std::string about =
      fmt::format("notification {} (job {}, {})", notification.id, notification.event.job, notification.event.kind);
  if (answer && !may_pass(answer->status)) {
    if (failures_ > 0) spdlog::info("webhook: {} answers again", receiver_);
    failures_ = 0;
    if (answer->ok()) return end(notification, "delivered");
    spdlog::warn("webhook: {} refused {} with status {}; it is dropped", receiver_, about, answer->status);
    return end(notification, "dropped");
  }

  std::string reason = answer ? fmt::format("status {}", answer->status) : answer.error().message;
  if (reason.starts_with(options_.url)) reason.replace(0, options_.url.size(), receiver_);
  spdlog::log(failures_ == 0 ? spdlog::level::warn : spdlog::level::debug, "webhook: {} did not take {}: {}", receiver_, about,
              reason);
  const seconds wanted = answer ? retry_after(*answer, around_.clock.now()) : seconds(0);
  paused_until_ = around_.clock.steady_now() + std::max<milliseconds>(back_off(failures_), wanted);
  ++failures_;
  if (is_too_old(notification, give_up)) {
    spdlog::warn("webhook: {} is given up after {} failures; the last one: {}", about, notification.attempts + 1, reason);
    return end(notification, "dropped") == Outcome::kStoreFailed ? Outcome::kStoreFailed : Outcome::kReceiverFailed;
  }
  return put_off(notification, wanted);
}

WebhookDelivery::Outcome WebhookDelivery::end(const queue::Notification& notification, std::string_view result) {
  if (around_.counted) around_.counted(result);
  const auto forgotten = around_.store.forget_notification(notification.id);
  return forgotten ? Outcome::kOver : note_store_failure(forgotten.error());
}

WebhookDelivery::Outcome WebhookDelivery::put_off(const queue::Notification& notification, milliseconds at_least) {
  if (around_.counted) around_.counted("retried");
  const auto wait = std::max(back_off(notification.attempts), at_least);
  const auto delayed = around_.store.delay_notification(notification.id, around_.clock.now() + wait);
  return delayed ? Outcome::kReceiverFailed : note_store_failure(delayed.error());
}

bool WebhookDelivery::is_too_old(const queue::Notification& notification, seconds give_up) const {
  return around_.clock.now() - notification.event.at >= give_up;
}

milliseconds WebhookDelivery::back_off(int failures) const {
  // 5 s times two to the eighth is more than the longest pause.
  const milliseconds full = std::min(kLongestPause, kFirstPause * (1 << std::min(failures, 8)));
  return std::chrono::floor<milliseconds>(full * (0.8 + 0.2 * around_.chance()));
}

WebhookDelivery::Outcome WebhookDelivery::note_store_failure(const Error& error) {
  spdlog::error("webhook: notifications wait, because the job store fails: {}", error.message);
  return Outcome::kStoreFailed;
}

}  // namespace retouchd::intake
