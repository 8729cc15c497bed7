#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "intake/asker.h"
#include "intake/wire/request.h"
#include "queue/job.h"

/// What a node does for other daemons, and what it tells them (docs/protocol.md, "Nodes"). They share its devices, not its files:
/// nothing that they send names a path here, and nothing that they get shows one.
namespace retouchd::intake {

/// `operation` as it is done for a guest: kInvalidRequest for what only local clients may ask. A submit is restored here and in
/// full, writes no preview beside it, goes before nobody (priority at most 0), and its key means nothing to other guests.
[[nodiscard]] Result<wire::Operation> as_guest(wire::Operation operation, const Asker& guest, bool has_content);

/// kUnknownJob in the words for a job that never was.
[[nodiscard]] Error unknown_to_guest(queue::JobId job);

/// Only what a guest may know of a job object or an event. Unknown fields are left out.
[[nodiscard]] nlohmann::json job_for_guest(const nlohmann::json& job, const std::filesystem::path& state_dir);
[[nodiscard]] nlohmann::json event_for_guest(const nlohmann::json& event, const std::filesystem::path& state_dir);

/// `text` without the folder in which a node keeps what is a guest's.
[[nodiscard]] std::string without_folder(std::string text, const std::filesystem::path& state_dir);

}  // namespace retouchd::intake
