#include "intake/guest_rules.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

namespace retouchd::intake {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 17> kJobFields{
    "id",          "state",    "name",    "network", "priority", "deadline", "cancel_requested", "accepted_at", "started_at",
    "finished_at", "attempts", "crashes", "sha256",  "size",     "error",    "details",          "progress"};
constexpr std::array<std::string_view, 22> kEventFields{
    "job",    "seq",     "kind",  "at",   "name",  "network", "priority", "epoch",  "claims",      "attempts", "width",
    "height", "seconds", "stage", "done", "total", "code",    "message",  "remedy", "retry_at_ms", "sha256",   "size"};
constexpr std::array<std::string_view, 9> kDetailFields{"width", "height",  "network",    "mode",         "tiles",
                                                        "tile",  "seconds", "seam_ratio", "resumed_tiles"};

Error refusal(std::string message) { return make_error(ErrorCode::kInvalidRequest, std::move(message)); }

json only(const json& object, std::span<const std::string_view> fields) {
  json chosen = json::object();
  if (!object.is_object()) return chosen;
  for (const std::string_view field : fields) {
    if (const auto found = object.find(std::string(field)); found != object.end()) chosen[std::string(field)] = *found;
  }
  return chosen;
}

/// The texts of errors name files.
void hide_folder(json& object, const std::filesystem::path& state_dir) {
  if (const auto text = object.find("message"); text != object.end() && text->is_string())
    *text = without_folder(text->get<std::string>(), state_dir);
}

Result<wire::Operation> submit_as_guest(wire::Submit submit, const Asker& guest, bool has_content) {
  if (has_content) return refusal("pictures come to a node in parts: `upload` them, then submit their \"content\"");
  if (!submit.path.empty()) return refusal("a node takes no \"path\": `upload` the picture, then submit its \"content\"");
  if (!submit.output.empty()) return refusal("a node takes no \"output\": `fetch` the result");
  if (submit.overwrite) return refusal("a node takes no \"overwrite\": results are kept apart from other files");
  if (!submit.key.empty()) submit.key = guest.origin + "/" + submit.key;
  submit.policy = "local";
  submit.skip_good = false;
  submit.preview = false;
  submit.priority = std::min(submit.priority, 0);
  return wire::Operation{std::move(submit)};
}

}  // namespace

Result<wire::Operation> as_guest(wire::Operation operation, const Asker& guest, bool has_content) {
  if (auto* submit = std::get_if<wire::Submit>(&operation)) return submit_as_guest(std::move(*submit), guest, has_content);
  const bool is_allowed = std::holds_alternative<wire::Ping>(operation) || std::holds_alternative<wire::Upload>(operation) ||
                          std::holds_alternative<wire::Status>(operation) || std::holds_alternative<wire::Events>(operation) ||
                          std::holds_alternative<wire::Cancel>(operation) || std::holds_alternative<wire::Fetch>(operation);
  if (is_allowed) return operation;
  return refusal("a node does not answer \"" + std::string(wire::name_of(operation)) +
                 "\"; it knows ping, upload, submit, status, events, cancel and fetch");
}

Error unknown_to_guest(queue::JobId job) { return make_error(ErrorCode::kUnknownJob, "there is no job " + std::to_string(job)); }

json job_for_guest(const json& job, const std::filesystem::path& state_dir) {
  json chosen = only(job, kJobFields);
  if (chosen.contains("error")) hide_folder(chosen["error"], state_dir);
  if (chosen.contains("details") && !chosen["details"].is_null()) chosen["details"] = only(chosen["details"], kDetailFields);
  return chosen;
}

json event_for_guest(const json& event, const std::filesystem::path& state_dir) {
  json chosen = only(event, kEventFields);
  hide_folder(chosen, state_dir);
  return chosen;
}

std::string without_folder(std::string text, const std::filesystem::path& state_dir) {
  const std::string folder = (state_dir / "").string();
  for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder, at)) text.erase(at, folder.size());
  return text;
}

}  // namespace retouchd::intake
