#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retouchd::wire {

inline constexpr std::size_t kCurveKeyLength = 40;  ///< of a key in Z85, the text form of 32 bytes (ZeroMQ RFC 32)

/// A CURVE key pair, both in Z85. Whoever has the secret one is its owner.
struct KeyPair {
  std::string public_key;
  std::string secret_key;
};

/// 40 characters of Z85 that stand for 32 bytes.
[[nodiscard]] bool is_curve_key(std::string_view text);

/// True for the keys that zmq_curve(7) prints, whose secrets everybody knows.
[[nodiscard]] bool is_example_key(std::string_view key);

/// A new pair; kInternal when libzmq was built without CURVE.
[[nodiscard]] Result<KeyPair> make_key_pair();

/// Reads what write_key_file() wrote:
///
///     # comment
///     public = <key>
///     secret = <key>
///
/// kBadConfig names the file and what is wrong: missing, readable by others than its owner (and root), not two keys, keys that
/// are printed in manuals, a secret that does not belong to the public key.
[[nodiscard]] Result<KeyPair> read_key_file(const std::filesystem::path& file);

/// Writes `file` with mode 0600, durably; folders that are missing are made, for their owner and group only. kOutputExists unless
/// `replace`.
[[nodiscard]] Result<void> write_key_file(const std::filesystem::path& file, const KeyPair& keys, bool replace);

}  // namespace retouchd::wire
