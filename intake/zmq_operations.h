#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "intake/admission.h"
#include "intake/asker.h"
#include "intake/wire/reply.h"
#include "intake/wire/request.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// What the requests need from the rest of the daemon. Each may be empty; then its part of an answer is missing. Called from
/// several threads at once, until the server has stopped and the store has answered what was under way.
struct ZmqHooks {
  /// The registry as a JSON array of objects; each has at least "name".
  std::function<nlohmann::json()> models;
  /// A JSON object whose fields join the answer of `ping` (device, readiness, ...). Must not wait for anything.
  std::function<nlohmann::json()> health;
  /// A JSON object: the answer of `stats`. May wait for the store.
  std::function<nlohmann::json()> stats;
  /// Of a job that runs here, such as {"stage": "infer", "done": 3, "total": 12}.
  std::function<std::optional<nlohmann::json>(queue::JobId)> progress;
  /// Once per answered request: the operation (or "unknown") and "ok" or the wire name of the error.
  std::function<void(std::string_view op, std::string_view result)> answered;
  /// Once per event that went out to the subscribers.
  std::function<void()> event_published;
};

/// One answer: its JSON text, and the binary frame of a `fetch`.
struct ZmqAnswer {
  std::string text;
  std::optional<std::string> content;
};

/// Does what parsed requests ask for, without knowing how they travelled; for guests as guest_rules.h says.
///
/// Threads: safe.
class ZmqOperations {
 public:
  using Answered = std::function<void(ZmqAnswer)>;

  /// `about`: what `ping` tells apart from the moment's state (version, limits, endpoints).
  ZmqOperations(queue::JobStore& store, Admission& admission, ZmqHooks hooks, nlohmann::json about);

  /// Answers exactly once, now or (a submit, after its commit) from the store's thread. Reads files and the store: may wait for a
  /// disk, except for a ping. Never throws.
  void run(const Asker& asker, wire::ParsedRequest request, std::optional<std::span<const std::uint8_t>> content,
           Answered answered);

 private:
  using Content = std::optional<std::span<const std::uint8_t>>;
  struct Call;

  void submit(const wire::Submit& submit, Content content, Call call);
  [[nodiscard]] Result<nlohmann::json> answer_to(const wire::Operation& operation, const Asker& asker, Content sent,
                                                 std::optional<std::string>& content);
  [[nodiscard]] Result<queue::Job> job_of(queue::JobId id, const Asker& asker);
  [[nodiscard]] Result<nlohmann::json> cancel(queue::JobId id, const Asker& asker);
  [[nodiscard]] Result<nlohmann::json> list(const wire::List& list);
  [[nodiscard]] Result<nlohmann::json> events(const wire::Events& events, const Asker& asker);
  [[nodiscard]] Result<nlohmann::json> fetch(const wire::Fetch& fetch, const Asker& asker, std::string& content);
  [[nodiscard]] Result<nlohmann::json> upload(const wire::Upload& upload, const Asker& asker, Content part);
  [[nodiscard]] Result<nlohmann::json> one_job(Result<queue::Job> job, const Asker& asker);
  [[nodiscard]] nlohmann::json ping(const Asker& asker);

  queue::JobStore& store_;
  Admission& admission_;
  const std::shared_ptr<const ZmqHooks> hooks_;  // shared with answers that the store still owes
  const nlohmann::json about_;
};

}  // namespace retouchd::intake
