#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/units.h"

/// The messages of protocol version 1 (docs/protocol.md), shared by the daemon and its clients.
namespace retouchd::wire {

inline constexpr int kVersion = 1;
inline constexpr Bytes kMaxEnvelope = kibibytes(64);  ///< of the JSON frame of a request
inline constexpr Bytes kMaxChunk = mebibytes(16);     ///< of one `fetch`
inline constexpr Bytes kMaxPart = mebibytes(1);       ///< of one `upload`
inline constexpr int kMaxListed = 1'000;              ///< jobs in one `list`

/// A picture by its path on the daemon's machine, or by the sha256 of what was uploaded, or (both empty) as the binary frame that
/// follows.
struct Submit {
  static constexpr std::string_view kName = "submit";
  std::string path{};     ///< absolute
  std::string content{};  ///< sha256 of a complete upload of the same client
  std::string name{};     ///< file name of the content; required without a path
  /// Absolute; ends in '/' or is a folder: the file goes into it; empty: beside the source, or the daemon's results.
  std::string output{};
  std::string network{};  ///< empty: the daemon's default
  std::string key{};      ///< idempotency key; empty: the daemon makes one up
  int priority = 0;       ///< -1000..1000
  /// The job fails when it is not done so many seconds after it was accepted; up to ten years. 0: it has no deadline.
  double deadline_seconds = 0;
  bool preview = true;
  bool preview_only = false;        ///< the preview is the result
  std::string policy{};             ///< "local", "hybrid", "progressive"; empty: the daemon's
  std::optional<bool> skip_good{};  ///< nullopt: the daemon's
  bool overwrite = false;
};

struct Status {
  static constexpr std::string_view kName = "status";
  std::int64_t job = 0;
};

struct List {
  static constexpr std::string_view kName = "list";
  std::string state{};     ///< empty: all
  std::string origin{};    ///< empty: all
  std::int64_t after = 0;  ///< only jobs with a smaller id; 0: from the newest
  int limit = 100;         ///< 1..kMaxListed
};

struct Cancel {
  static constexpr std::string_view kName = "cancel";
  std::int64_t job = 0;
};

struct Retry {
  static constexpr std::string_view kName = "retry";
  std::int64_t job = 0;
};

/// What has happened to a job, for a listener that missed events.
struct Events {
  static constexpr std::string_view kName = "events";
  std::int64_t job = 0;
  std::int64_t since = 0;  ///< only events with a larger seq
};

struct Models {
  static constexpr std::string_view kName = "models";
};

/// A part of a finished job's result.
struct Fetch {
  static constexpr std::string_view kName = "fetch";
  std::int64_t job = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = kMaxChunk.value;  ///< 1..kMaxChunk
};

/// A part of a picture on its way to a node: up to kMaxPart bytes from `offset` on come as the binary frame. Without them it only
/// asks how many bytes are there.
struct Upload {
  static constexpr std::string_view kName = "upload";
  std::string sha256{};      ///< of the whole, lower-case hexadecimal
  std::uint64_t size = 0;    ///< of the whole, in bytes; at least 1
  std::uint64_t offset = 0;  ///< of the part; must be what the node has
};

struct Ping {
  static constexpr std::string_view kName = "ping";
};

/// How busy the daemon is.
struct Stats {
  static constexpr std::string_view kName = "stats";
};

using Operation = std::variant<Ping, Submit, Status, List, Cancel, Retry, Events, Models, Fetch, Stats, Upload>;

[[nodiscard]] std::string_view name_of(const Operation& operation) noexcept;

/// "ping", "submit", ...: every operation there is.
[[nodiscard]] std::span<const std::string_view> operation_names() noexcept;

struct Request {
  std::optional<std::string> id;  ///< echoed in the reply; nullopt: the client gave none
  Operation operation;
};

/// A request as received. `id` is known even for most refused requests, so that the refusal can be matched; `op` is then what was
/// recognised of the operation ("unknown" otherwise) for the metrics.
struct ParsedRequest {
  std::optional<std::string> id;
  std::string_view op = "unknown";
  Result<Operation> operation;
};

/// Checks everything that can be checked without the file system: JSON, version, operation, names and types of all fields,
/// ranges. Refusals are kInvalidRequest with a message that names the field. `has_content`: a binary frame came along. Never
/// throws.
[[nodiscard]] ParsedRequest parse_request(std::string_view text, bool has_content);

/// The JSON text of a request. Text fields must be UTF-8 (kInvalidRequest otherwise); fields with their default value are left
/// out.
[[nodiscard]] Result<std::string> to_text(const Request& request);

}  // namespace retouchd::wire
