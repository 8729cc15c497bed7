#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace retouchd::cli {

/// A job object of the protocol as a line of `retouch list`, as the paragraph of `retouch status`, and as the line that tells its
/// end.
[[nodiscard]] std::string list_row(const nlohmann::json& job);
[[nodiscard]] std::string paragraph(const nlohmann::json& job);
[[nodiscard]] std::string end_line(const nlohmann::json& job);

/// The heading above list_row().
[[nodiscard]] std::string list_heading();

/// An event as a line: time, job, kind, and what matters of it.
[[nodiscard]] std::string event_line(const nlohmann::json& event);

/// A text field, or an empty text when it is missing, null or something else.
[[nodiscard]] std::string text_in(const nlohmann::json& object, const char* field);

}  // namespace retouchd::cli
