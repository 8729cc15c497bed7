#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/result.h"

namespace retouchd::wire {

using RequestId = std::optional<std::string>;

/// {"code","message","remedy"} and, where the stage is known, "stage".
[[nodiscard]] nlohmann::json error_to_json(const Error& error);

/// JSON text that always succeeds: bytes that are not UTF-8 (file names may hold them) become U+FFFD.
[[nodiscard]] std::string dump(const nlohmann::json& value);

/// The text of a reply. `fields` is an object that must not contain "v", "id" or "ok".
[[nodiscard]] std::string ok_reply(const RequestId& id, nlohmann::json fields);
[[nodiscard]] std::string error_reply(const RequestId& id, const Error& error,
                                      std::optional<std::chrono::milliseconds> retry_after = std::nullopt);

/// A reply as a client sees it.
struct Reply {
  std::string id;                                        ///< empty when the daemon could not tell whose it is
  nlohmann::json body;                                   ///< the whole object
  std::optional<Error> error;                            ///< nullopt: ok
  std::optional<std::chrono::milliseconds> retry_after;  ///< with kBusy
  std::string content;                                   ///< the binary frame of `fetch`
};

/// Reads a reply; kInvalidRequest when it is none of version 1.
[[nodiscard]] Result<Reply> parse_reply(std::string_view text);

}  // namespace retouchd::wire
