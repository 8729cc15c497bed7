#include "intake/zmq_operations.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <utility>

#include "intake/guest_rules.h"
#include "intake/job_json.h"

namespace retouchd::intake {
namespace {

using nlohmann::json;

Error refusal(std::string message) { return make_error(ErrorCode::kInvalidRequest, std::move(message)); }

/// Up to `length` bytes at `offset` of the result of `job`, which must still be the file that was published.
Result<std::string> read_result(const queue::Job& job, std::uint64_t offset, std::uint64_t length) {
  const std::string what = "cannot read the result " + job.output.string();
  const UniqueFd file(::open(job.output.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return error_from_errno(errno, what, true);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return error_from_errno(errno, what, true);
  if (!S_ISREG(about.st_mode) || static_cast<std::uint64_t>(about.st_size) != job.output_size) {
    return make_error(ErrorCode::kInputChanged, what + ": it was changed after the job had written it");
  }
  std::string content(std::min(length, job.output_size - offset), '\0');
  for (std::size_t have = 0; have < content.size();) {
    const auto got = ::pread(file.get(), content.data() + have, content.size() - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_from_errno(errno, what, true);
    if (got == 0) return make_error(ErrorCode::kInputChanged, what + ": it was cut short meanwhile");
    have += static_cast<std::size_t>(got);
  }
  return content;
}

}  // namespace

/// Whose answer it is and how it is given.
struct ZmqOperations::Call {
  std::shared_ptr<const ZmqHooks> hooks;
  Asker asker;
  std::filesystem::path state_dir;
  wire::RequestId id;
  std::string_view op;
  Answered answered;

  void succeed(json fields, std::optional<std::string> content = std::nullopt) const {
    if (hooks->answered) hooks->answered(op, "ok");
    answered({wire::ok_reply(id, std::move(fields)), std::move(content)});
  }
  void fail(Error error) const {
    if (hooks->answered) hooks->answered(op, error.name());
    if (asker.is_guest) error.message = without_folder(std::move(error.message), state_dir);
    const bool busy = error.code == ErrorCode::kBusy;
    answered({wire::error_reply(id, error, busy ? std::optional(Admission::kRetryAfter) : std::nullopt), std::nullopt});
  }
};

ZmqOperations::ZmqOperations(queue::JobStore& store, Admission& admission, ZmqHooks hooks, json about)
    : store_(store),
      admission_(admission),
      hooks_(std::make_shared<const ZmqHooks>(std::move(hooks))),
      about_(std::move(about)) {}

void ZmqOperations::run(const Asker& asker, wire::ParsedRequest request, Content content, Answered answered) {
  Call call{hooks_, asker, admission_.state_dir(), std::move(request.id), request.op, std::move(answered)};
  auto operation = std::move(request.operation);
  if (operation && asker.is_guest) operation = as_guest(std::move(*operation), asker, content.has_value());
  if (!operation) return call.fail(operation.error());
  if (const auto* wanted = std::get_if<wire::Submit>(&*operation)) return submit(*wanted, content, std::move(call));
  std::optional<std::string> answer_content;
  Result<json> fields = make_error(ErrorCode::kInternal, "no answer");
  try {
    fields = answer_to(*operation, asker, content, answer_content);
  } catch (const std::exception& exception) {
    spdlog::error("zmq: {} failed: {}", call.op, exception.what());
    fields = make_error(ErrorCode::kInternal, std::string(call.op) + " failed: " + exception.what());
  }
  if (!fields) return call.fail(fields.error());
  call.succeed(std::move(*fields), std::move(answer_content));
}

void ZmqOperations::submit(const wire::Submit& submit, Content content, Call call) {
  Result<queue::JobRequest> request = make_error(ErrorCode::kInternal, "no answer");
  try {
    if (auto room = admission_.check_room(); !room) return call.fail(room.error());
    request = admission_.prepare(submit, call.asker.origin, content);
  } catch (const std::exception& exception) {
    spdlog::error("zmq: submit failed: {}", exception.what());
    request = make_error(ErrorCode::kInternal, std::string("submit failed: ") + exception.what());
  }
  if (!request) {
    admission_.give_room_back();
    return call.fail(request.error());
  }
  json fields{{"name", request->name}};
  if (!call.asker.is_guest) fields["output"] = request->output.string();
  store_.accept(std::move(*request),
                [call = std::move(call), fields = std::move(fields)](const Result<queue::JobStore::Accepted>& accepted) mutable {
                  if (!accepted) return call.fail(accepted.error());
                  fields["job"] = accepted->id;
                  fields["duplicate"] = accepted->duplicate;
                  call.succeed(std::move(fields));
                });
}

Result<json> ZmqOperations::answer_to(const wire::Operation& operation, const Asker& asker, Content sent,
                                      std::optional<std::string>& content) {
  if (const auto* status = std::get_if<wire::Status>(&operation)) return one_job(job_of(status->job, asker), asker);
  if (const auto* wanted = std::get_if<wire::Cancel>(&operation)) return cancel(wanted->job, asker);
  if (const auto* retry = std::get_if<wire::Retry>(&operation)) return one_job(store_.retry(retry->job), asker);
  if (const auto* wanted = std::get_if<wire::List>(&operation)) return list(*wanted);
  if (const auto* wanted = std::get_if<wire::Events>(&operation)) return events(*wanted, asker);
  if (const auto* wanted = std::get_if<wire::Fetch>(&operation)) return fetch(*wanted, asker, content.emplace());
  if (const auto* wanted = std::get_if<wire::Upload>(&operation)) return upload(*wanted, asker, sent);
  if (std::holds_alternative<wire::Models>(operation)) {
    return json{{"models", hooks_->models ? hooks_->models() : json::array()}, {"default", admission_.default_network()}};
  }
  if (std::holds_alternative<wire::Stats>(operation)) return hooks_->stats ? hooks_->stats() : json::object();
  return ping(asker);
}

Result<queue::Job> ZmqOperations::job_of(queue::JobId id, const Asker& asker) {
  auto job = store_.get(id);
  if (!asker.is_guest) return job;
  if (!job && job.error().code != ErrorCode::kUnknownJob) return job;
  // Somebody else's job and none at all look the same.
  if (!job || job->request.origin != asker.origin) return unknown_to_guest(id);
  return job;
}

Result<json> ZmqOperations::one_job(Result<queue::Job> job, const Asker& asker) {
  if (!job) return job.error();
  std::optional<json> progress;
  if (hooks_->progress && job->state == queue::JobState::kRunning) progress = hooks_->progress(job->id);
  json object = job_to_json(*job, progress);
  if (asker.is_guest) object = job_for_guest(object, admission_.state_dir());
  return json{{"job", std::move(object)}};
}

Result<json> ZmqOperations::cancel(queue::JobId id, const Asker& asker) {
  if (auto job = job_of(id, asker); !job) return job.error();
  return one_job(store_.cancel(id), asker);
}

Result<json> ZmqOperations::upload(const wire::Upload& upload, const Asker& asker, Content part) {
  auto& uploads = admission_.uploads();
  if (part && part->size() > wire::kMaxPart.value)
    return refusal("a part of an upload has at most " + to_string(wire::kMaxPart) + ", not " + to_string(Bytes{part->size()}));
  const auto progress = part ? uploads.append(asker.origin, upload, *part) : uploads.find(asker.origin, upload);
  if (!progress) return progress.error();
  return json{{"have", progress->have}, {"complete", progress->is_complete}};
}

Result<json> ZmqOperations::list(const wire::List& list) {
  queue::JobStore::Filter filter;
  if (!list.state.empty()) {
    filter.state = queue::job_state_from_name(list.state);
    if (!filter.state) {
      return refusal("there is no state \"" + list.state +
                     "\"; the states are queued, running, publishing, escalated, done, failed, cancelled");
    }
  }
  filter.origin = list.origin;
  filter.after = list.after;
  filter.limit = list.limit;
  auto jobs = store_.list(filter);
  if (!jobs) return jobs.error();
  json rows = json::array();
  for (const auto& job : *jobs) rows.push_back(job_to_json(job));
  const bool more = static_cast<int>(jobs->size()) >= list.limit;
  return json{{"jobs", std::move(rows)}, {"next", more ? json(jobs->back().id) : json(nullptr)}};
}

Result<json> ZmqOperations::events(const wire::Events& events, const Asker& asker) {
  if (auto job = job_of(events.job, asker); !job) return job.error();
  auto stored = store_.events(events.job);
  if (!stored) return stored.error();
  json rows = json::array();
  for (const auto& event : *stored) {
    if (event.seq <= events.since) continue;
    rows.push_back(asker.is_guest ? event_for_guest(event_to_json(event), admission_.state_dir()) : event_to_json(event));
  }
  return json{{"events", std::move(rows)}};
}

Result<json> ZmqOperations::fetch(const wire::Fetch& fetch, const Asker& asker, std::string& content) {
  auto job = job_of(fetch.job, asker);
  if (!job) return job.error();
  const std::string label = "job " + std::to_string(fetch.job);
  if (job->state != queue::JobState::kDone) {
    return refusal(label + " has no result: it is " + std::string(queue::name_of(job->state)));
  }
  if (fetch.offset > job->output_size) {
    return refusal("offset " + std::to_string(fetch.offset) + " is beyond the result of " + label + ", which has " +
                   std::to_string(job->output_size) + " bytes");
  }
  auto part = read_result(*job, fetch.offset, fetch.length);
  if (!part) return part.error();
  content = std::move(*part);
  return json{{"job", fetch.job},
              {"name", job->output.filename().string()},
              {"offset", fetch.offset},
              {"length", content.size()},
              {"size", job->output_size},
              {"sha256", job->output_sha256},
              {"last", fetch.offset + content.size() == job->output_size}};
}

json ZmqOperations::ping(const Asker& asker) {
  json fields = about_;
  if (hooks_->health) fields.update(hooks_->health());
  fields["draining"] = admission_.is_draining();
  if (asker.is_guest) {
    return {{"version", fields.value("version", "")},
            {"protocol", fields.value("protocol", 0)},
            {"ready", fields.value("ready", !admission_.is_draining())},
            {"draining", fields["draining"]},
            {"networks", admission_.networks()}};
  }
  if (auto counts = store_.counts()) fields["jobs"] = counts_to_json(*counts);
  return fields;
}

}  // namespace retouchd::intake
