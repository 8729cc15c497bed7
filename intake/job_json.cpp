#include "intake/job_json.h"

#include <string>

#include "intake/wire/reply.h"
#include "intake/wire/timestamp.h"

namespace retouchd::intake {
namespace {

using nlohmann::json;

json time_or_null(const std::optional<UnixMillis>& time) { return time ? json(wire::to_iso8601(*time)) : json(nullptr); }

json text_or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

/// The store hands out JSON text that the pipeline wrote; anything but an object is treated as nothing.
json object_of(const std::string& text) {
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  return object.is_object() ? object : json(nullptr);
}

}  // namespace

json job_to_json(const queue::Job& job, const std::optional<json>& progress) {
  const auto& request = job.request;
  const auto& output = job.output.empty() ? request.output : job.output;
  json object;
  object["id"] = job.id;
  object["state"] = queue::name_of(job.state);
  object["name"] = request.name;
  object["origin"] = request.origin;
  object["source"] = request.source.string();
  object["output"] = text_or_null(output.string());
  object["preview"] = text_or_null(job.preview.string());
  object["network"] = request.network;
  object["priority"] = request.priority;
  object["policy"] = request.policy;
  object["deadline"] = request.deadline == kNever ? json(nullptr) : json(wire::to_iso8601(request.deadline));
  object["cancel_requested"] = job.cancel_requested;
  object["accepted_at"] = wire::to_iso8601(job.accepted_at);
  object["started_at"] = time_or_null(job.started_at);
  object["finished_at"] = time_or_null(job.finished_at);
  object["attempts"] = job.attempts;
  object["crashes"] = job.crashes;
  object["sha256"] = text_or_null(job.output_sha256);
  object["size"] = job.output_sha256.empty() ? json(nullptr) : json(job.output_size);
  object["error"] = job.error ? wire::error_to_json(*job.error) : json(nullptr);
  object["decision"] = object_of(job.decision);
  object["details"] = object_of(job.details);
  object["progress"] = progress ? *progress : json(nullptr);
  return object;
}

json event_to_json(const queue::JobEvent& event) {
  json object = object_of(event.body);
  if (object.is_null()) object = json::object();
  object["job"] = event.job;
  object["seq"] = event.seq;
  object["kind"] = event.kind;
  object["at"] = wire::to_iso8601(event.at);
  return object;
}

json counts_to_json(const queue::JobStore::Counts& counts) {
  json object = json::object();
  for (std::size_t i = 0; i < counts.size(); ++i)
    object[std::string(queue::name_of(static_cast<queue::JobState>(i)))] = counts[i];
  return object;
}

}  // namespace retouchd::intake
