#include "queue/sqlite_job_store.h"

#include <chrono>
#include <future>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "queue/job_reader.h"
#include "queue/job_recovery.h"
#include "queue/job_schema.h"
#include "queue/job_transitions.h"
#include "queue/store_thread.h"

namespace retouchd::queue {
namespace {

constexpr int kForgottenAtOnce = 256;  // so that claims and accepts wait for one small transaction at most

class SqliteJobStore final : public JobStore {
 public:
  SqliteJobStore(std::unique_ptr<Database> database, std::unique_ptr<JobTransitions> transitions,
                 const SqliteJobStoreOptions& options, const Clock& clock, std::vector<JobEvent> recovered, const Counts& counts)
      : suspects_first_(transitions->suspects_first_from()),
        writer_(std::move(database), options.file, std::move(transitions), std::move(recovered), counts, options.observer),
        reader_(options.file, clock) {}

  void accept(JobRequest request, AcceptCallback done) override {
    struct Waiting {
      JobRequest request;
      AcceptCallback done;
      Result<Accepted> answer = Accepted{};
    };
    auto waiting = std::make_shared<Waiting>(Waiting{std::move(request), std::move(done)});
    const bool taken =
        writer_.post_accept({[waiting](JobTransitions& transitions) { waiting->answer = transitions.accept(waiting->request); },
                             [waiting](const Error* failure) {
                               waiting->done(failure == nullptr ? std::move(waiting->answer) : Result<Accepted>(*failure));
                             }});
    if (!taken) waiting->done(make_error(ErrorCode::kBusy, "too many jobs wait to be written to the job store"));
  }

  Result<std::vector<Job>> claim(const ClaimRequest& request) override {
    return change([&](JobTransitions& transitions) { return transitions.claim(request); });
  }

  std::optional<UnixMillis> next_ready() override {
    auto moment = reader_.next_ready(suspects_first_);
    // A store that cannot be read has nothing to claim; claim() tells why.
    return moment ? *moment : std::nullopt;
  }

  Result<void> record_preview(Claim claim, const std::filesystem::path& preview, const std::string& body) override {
    return change([&](JobTransitions& transitions) { return transitions.record_preview(claim, preview, body); });
  }
  Result<void> record_decision(Claim claim, const std::string& decision) override {
    return change([&](JobTransitions& transitions) { return transitions.record_decision(claim, decision); });
  }
  Result<void> record_level(Claim claim, const std::string& body) override {
    return change([&](JobTransitions& transitions) { return transitions.record_level(claim, body); });
  }
  Result<void> escalate(Claim claim, const std::string& decision) override {
    return change([&](JobTransitions& transitions) { return transitions.escalate(claim, decision); });
  }
  Result<void> take_back(Claim claim, const std::string& decision, const std::filesystem::path& returned,
                         const std::string& body) override {
    return change([&](JobTransitions& transitions) { return transitions.take_back(claim, decision, returned, body); });
  }
  Result<void> begin_publishing(Claim claim, const Publication& publication) override {
    return change([&](JobTransitions& transitions) { return transitions.begin_publishing(claim, publication); });
  }
  Result<void> complete(Claim claim, const std::string& details) override {
    return change([&](JobTransitions& transitions) { return transitions.complete(claim, details); });
  }
  Result<void> retry_at(Claim claim, const Error& error, UnixMillis when, bool count_attempt) override {
    return change([&](JobTransitions& transitions) { return transitions.retry_at(claim, error, when, count_attempt); });
  }
  Result<void> fail(Claim claim, const Error& error) override {
    return change([&](JobTransitions& transitions) { return transitions.fail(claim, error); });
  }
  Result<void> hand_back(Claim claim) override {
    return change([=](JobTransitions& transitions) { return transitions.hand_back(claim); });
  }
  Result<void> finish_cancelled(Claim claim) override {
    return change([=](JobTransitions& transitions) { return transitions.finish_cancelled(claim); });
  }
  Result<Job> cancel(JobId id) override {
    return change([=](JobTransitions& transitions) { return transitions.cancel(id); });
  }
  Result<Job> retry(JobId id) override {
    return change([=](JobTransitions& transitions) { return transitions.retry(id); });
  }

  Result<Job> get(JobId id) override { return reader_.get(id); }
  Result<std::vector<Job>> list(const Filter& filter) override { return reader_.list(filter); }
  Result<std::vector<JobEvent>> events(JobId id) override { return reader_.events(id); }
  Result<Counts> counts() override { return writer_.counts(); }
  Result<std::optional<Job>> find_by_key(const std::string& key) override { return reader_.find_by_key(key); }
  Result<bool> is_own_output(const std::filesystem::path& output, const std::string& sha256) override {
    return reader_.is_own_output(output, sha256);
  }

  Result<int> forget(UnixMillis done_before, UnixMillis failed_before) override {
    int forgotten = 0;
    while (true) {
      const auto some =
          change([=](JobTransitions& transitions) { return transitions.forget(done_before, failed_before, kForgottenAtOnce); });
      if (!some) return some.error();
      forgotten += *some;
      if (*some < kForgottenAtOnce) return forgotten;
    }
  }

  Result<std::vector<Notification>> due_notifications(int limit) override { return reader_.due_notifications(limit); }
  Result<std::optional<UnixMillis>> next_notification() override { return reader_.next_notification(); }
  Result<void> forget_notification(const std::string& id) override {
    return change([&](JobTransitions& transitions) { return transitions.notifications().forget(id); });
  }
  Result<void> delay_notification(const std::string& id, UnixMillis when) override {
    return change([&](JobTransitions& transitions) { return transitions.notifications().delay(id, when); });
  }

  void set_listener(std::function<void(const std::vector<JobEvent>&)> listener) override {
    writer_.set_listener(std::move(listener));
  }

 private:
  /// Runs `transition` on the store's thread and waits until it is committed.
  template <class Transition>
  auto change(Transition transition) -> std::invoke_result_t<Transition, JobTransitions&> {
    using Answer = std::invoke_result_t<Transition, JobTransitions&>;
    std::optional<Answer> answer;
    std::promise<Answer> answered;
    writer_.post({[&](JobTransitions& transitions) { answer.emplace(transition(transitions)); },
                  [&](const Error* failure) { answered.set_value(failure == nullptr ? std::move(*answer) : Answer(*failure)); }});
    return answered.get_future().get();
  }

  const UnixMillis suspects_first_;
  StoreThread writer_;  // after the reader has gone, so that closing can empty the log
  JobReader reader_;
};

JobStore::Counts count_jobs(Database& database) {
  JobStore::Counts counts{};
  Statement statement = database.prepare("SELECT state, count(*) FROM job GROUP BY state");
  Rows rows = statement.query();
  while (rows.next()) {
    if (const auto state = job_state_from_name(rows.text(0))) counts[static_cast<std::size_t>(*state)] = rows.integer(1);
  }
  return counts;
}

}  // namespace

Result<std::unique_ptr<JobStore>> open_sqlite_job_store(const SqliteJobStoreOptions& options, const Clock& clock) {
  auto database = open_job_database(options.file);
  if (!database) return database.error();
  try {
    auto transitions = std::make_unique<JobTransitions>(**database, clock, options.boot_id, options.notify);
    recover_jobs(**database, *transitions, options.max_crashes);
    auto recovered = transitions->take_changes().events;
    const auto counts = count_jobs(**database);
    return std::unique_ptr<JobStore>(std::make_unique<SqliteJobStore>(std::move(*database), std::move(transitions), options,
                                                                      clock, std::move(recovered), counts));
  } catch (const SqliteError& failure) {
    return error_from(failure, options.file);
  }
}

}  // namespace retouchd::queue
