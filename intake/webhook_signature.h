#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

// How a receiver knows that a notification comes from this daemon and is fresh: as Standard Webhooks
// (https://www.standardwebhooks.com) have it, so that its libraries can check it.
namespace retouchd::intake {

/// The key of the signature: the file's bytes without the line ends at its end.
/// kBadConfig, naming the file: it cannot be read, other users may read or write it, it is no regular file or larger than 4 KiB,
/// or its key has fewer than 16 bytes.
[[nodiscard]] Result<std::string> read_webhook_secret(const std::filesystem::path& file);

/// "v1," and the HMAC-SHA256 of "<id>.<Unix seconds>.<body>" in base64; the value of the header webhook-signature.
[[nodiscard]] std::string webhook_signature(std::string_view secret, std::string_view id, std::chrono::sys_seconds at,
                                            std::string_view body);

}  // namespace retouchd::intake
