#include "queue/job_rows.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <span>

namespace retouchd::queue {
namespace {

using nlohmann::json;

UnixMillis time_in(const Rows& rows, int column) { return UnixMillis(std::chrono::milliseconds(rows.integer(column))); }

std::optional<UnixMillis> optional_time_in(const Rows& rows, int column) {
  if (rows.is_null(column)) return std::nullopt;
  return time_in(rows, column);
}

/// An object given as text by the pipeline; anything else is kept as a string rather than lost.
json parsed(const std::string& text) {
  if (text.empty()) return json::object();
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return text;
  return value;
}

json object_of(const std::string& text) {
  json value = parsed(text);
  return value.is_object() ? value : json{{"details", value}};
}

json error_fields(const Error& error) { return {{"code", error.name()}, {"message", error.message}, {"remedy", error.remedy()}}; }

}  // namespace

const std::string kJobColumns =
    "id, key, origin, source, device, inode, size, mtime_ns, spooled, name, output, error_report, overwrite, wants_preview, "
    "network, priority, policy, skip_good, preview_only, deadline, state, cancel_requested, epoch, claims, attempts, crashes, "
    "accepted_at, not_before, "
    "started_at, "
    "finished_at, preview_path, output_path, output_sha256, output_size, error_code, error_message, error_stage, "
    "decision, returned_path, details";

Job read_job(const Rows& rows) {
  Job job;
  int column = 0;
  const auto integer = [&] { return rows.integer(column++); };
  const auto text = [&] { return rows.text(column++); };
  job.id = integer();
  job.request.key = text();
  job.request.origin = text();
  job.request.source = text();
  job.request.identity.device = static_cast<std::uint64_t>(integer());
  job.request.identity.inode = static_cast<std::uint64_t>(integer());
  job.request.identity.size = static_cast<std::uint64_t>(integer());
  job.request.identity.mtime_ns = integer();
  job.request.spooled = integer() != 0;
  job.request.name = text();
  job.request.output = text();
  job.request.error_report = text();
  job.request.overwrite = integer() != 0;
  job.request.preview = integer() != 0;
  job.request.network = text();
  job.request.priority = static_cast<int>(integer());
  job.request.policy = text();
  job.request.skip_good = integer() != 0;
  job.request.preview_only = integer() != 0;
  job.request.deadline = time_in(rows, column++);
  job.state = job_state_from_name(text()).value_or(JobState::kFailed);
  job.cancel_requested = integer() != 0;
  job.epoch = integer();
  job.claims = static_cast<int>(integer());
  job.attempts = static_cast<int>(integer());
  job.crashes = static_cast<int>(integer());
  job.accepted_at = time_in(rows, column++);
  job.not_before = time_in(rows, column++);
  job.started_at = optional_time_in(rows, column++);
  job.finished_at = optional_time_in(rows, column++);
  job.preview = text();
  const auto output = text();
  const auto sha256 = text();
  const auto size = integer();
  // Before and after a publication the row only remembers what this job may once have put there.
  if (job.state == JobState::kPublishing || job.state == JobState::kDone) {
    job.output = output;
    job.output_sha256 = sha256;
    job.output_size = static_cast<std::uint64_t>(size);
  }
  const auto code = text();
  if (!code.empty()) {
    job.error = Error{error_code_from_name(code), text(), {}};
    job.error->stage = text();
  } else {
    column += 2;
  }
  job.decision = text();
  job.returned = text();
  job.details = text();
  return job;
}

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::string hash_of(const JobRequest& request) {
  // Lengths keep neighbouring fields apart; JSON would fold different bad UTF-8 into one.
  std::string all;
  const auto add = [&all](const std::string& field) { all += std::to_string(field.size()) + ':' + field + ';'; };
  add(request.name);
  add(request.output.native());
  add(request.network);
  add(std::to_string(request.priority));
  add(request.overwrite ? "overwrite" : "");
  add(request.preview ? "preview" : "");
  add(std::to_string(request.identity.size));
  if (!request.spooled) {
    add(request.source.native());
    add(std::to_string(request.identity.inode));
    add(std::to_string(request.identity.mtime_ns));
  }
  // Only what was asked for: hashes of jobs that were accepted before these existed stay what they were.
  const JobRequest unasked;
  if (request.policy != unasked.policy) add("policy " + request.policy);
  if (request.skip_good != unasked.skip_good) add("skip_good");
  if (request.preview_only != unasked.preview_only) add("preview_only");
  const auto* bytes = static_cast<const std::uint8_t*>(static_cast<const void*>(all.data()));
  return sha256_hex({bytes, all.size()});
}

std::string accepted_body(const JobRequest& request) {
  return text_of({{"name", request.name},
                  {"source", request.source.native()},
                  {"output", request.output.native()},
                  {"network", request.network},
                  {"priority", request.priority},
                  {"origin", request.origin}});
}

std::string object_body(const std::string& given) { return text_of(object_of(given)); }

std::string preview_body(const std::filesystem::path& preview, const std::string& given) {
  json body = object_of(given);
  body["path"] = preview.native();
  return text_of(body);
}

std::string retry_body(const Error& error, UnixMillis when) {
  json body = error_fields(error);
  body["retry_at_ms"] = when.time_since_epoch().count();
  return text_of(body);
}

std::string failed_body(const Job& job, const Error& error) {
  json body = error_fields(error);
  body["stage"] = error.stage;
  body["attempts"] = job.attempts;
  body["origin"] = job.request.origin;
  return text_of(body);
}

std::string cancelled_body(const Job& job) { return text_of({{"origin", job.request.origin}}); }

std::string done_body(const Job& job, UnixMillis now, const std::string& details) {
  return text_of({{"output", job.output.native()},
                  {"sha256", job.output_sha256},
                  {"size", job.output_size},
                  {"origin", job.request.origin},
                  {"seconds", std::chrono::duration<double>(now - job.accepted_at).count()},
                  {"details", parsed(details)}});
}

}  // namespace retouchd::queue
