#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "queue/job.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// A job as clients see it (docs/protocol.md, "The job object"). Every field is always there; what is not known yet is null.
[[nodiscard]] nlohmann::json job_to_json(const queue::Job& job, const std::optional<nlohmann::json>& progress = std::nullopt);

/// {"job","seq","kind","at"} and the fields of the event's body, which cannot replace those four.
[[nodiscard]] nlohmann::json event_to_json(const queue::JobEvent& event);

/// {"queued": 3, "running": 1, ...}: every state is there.
[[nodiscard]] nlohmann::json counts_to_json(const queue::JobStore::Counts& counts);

}  // namespace retouchd::intake
