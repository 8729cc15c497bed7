#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "queue/job.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// The columns read_job() expects, in its order: "SELECT " + kJobColumns + " FROM job ...".
extern const std::string kJobColumns;

/// The job in the current row.
[[nodiscard]] Job read_job(const Rows& rows);

/// What makes two requests under one key the same request, as SHA-256. A picture in the spool is compared by name and size, since
/// a client that sends it again gets another copy; a device number is left out, since it changes with a reboot, and a deadline,
/// since it was counted from the moment of each submit.
[[nodiscard]] std::string hash_of(const JobRequest& request);

/// JSON text; bytes that are not UTF-8 (file names) become U+FFFD instead of an exception.
[[nodiscard]] std::string text_of(const nlohmann::json& value);

/// The bodies of events.
[[nodiscard]] std::string accepted_body(const JobRequest& request);
[[nodiscard]] std::string object_body(const std::string& given);  ///< `given` as it is, when it is a JSON object
[[nodiscard]] std::string preview_body(const std::filesystem::path& preview, const std::string& given);
[[nodiscard]] std::string retry_body(const Error& error, UnixMillis when);
[[nodiscard]] std::string failed_body(const Job& job, const Error& error);
[[nodiscard]] std::string cancelled_body(const Job& job);
[[nodiscard]] std::string done_body(const Job& job, UnixMillis now, const std::string& details);

}  // namespace retouchd::queue
