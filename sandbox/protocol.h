#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "image/codec.h"

/// What this process and `retouchd-codec` say to each other: one message of fixed size each way for each picture, over a pair of
/// sockets that keep messages apart (SOCK_SEQPACKET). Both programs are built together, so structs travel as they lie in memory.
///
/// A Request is trusted by the worker. Hello and Reply come from a process that may have been taken over: they hold nothing but
/// numbers and text, and nothing in them is used before it was checked.
namespace retouchd::sandbox {

/// Where the worker finds its end; 0, 1 and 2 are /dev/null.
constexpr int kSocket = 3;
/// Memory that a worker and the daemon share as long as the worker lives. Planes that fit go through it and are copied: pages
/// that are there already cost less than fresh ones.
constexpr int kArena = 4;
constexpr std::uint64_t kArenaSize = mebibytes(32).value;
[[nodiscard]] constexpr bool fits_arena(std::uint64_t planes_size) noexcept { return planes_size <= kArenaSize; }

constexpr std::uint32_t kVersion = 1;

enum class Task : std::uint32_t {
  kReadHeader,  ///< with the file
  kDecode,      ///< with the file, memory for the description, and for the planes unless they fit the arena
  kEncode,      ///< with the description, the file to write, and the planes unless they fit the arena
};

/// Descriptors that come along with a request, in the order above.
constexpr std::size_t kMostFiles = 3;

struct Request {
  std::uint32_t version = kVersion;
  Task task = Task::kReadHeader;
  std::uint64_t id = 0;
  std::uint64_t file_size = 0;         ///< of the file to read
  std::uint64_t planes_size = 0;       ///< memory for the planes, or what they take
  std::uint64_t description_size = 0;  ///< at most, or exactly
  image::DecodeLimits limits;
  image::FileFormat format = image::FileFormat::kJpeg;  ///< to write
  image::EncodeOptions options;
};
static_assert(std::is_trivially_copyable_v<Request>);

/// What a worker says once it has locked itself in, or why it could not (`failure`).
struct Hello {
  std::uint32_t version = kVersion;
  std::uint32_t request_size = sizeof(Request);
  std::uint64_t mapped = 0;       ///< address space in use
  std::int32_t landlock = 0;      ///< version of Landlock that holds; 0: the kernel has none
  std::uint32_t own_network = 0;  ///< 1: in a network namespace of its own
  std::array<char, 512> failure{};
};

/// PictureHeader in numbers that may be anything.
struct WireHeader {
  std::uint32_t format = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::int32_t channels = 0;
  std::int32_t bits = 0;
  std::int32_t orientation = 0;
  std::uint32_t progressive = 0;
  std::int32_t frames = 0;
  std::uint64_t working = 0;
  std::uint64_t more_pages = 0;
};

struct Reply {
  static constexpr std::int32_t kOk = -1;

  std::uint64_t id = 0;      ///< of the request
  std::int32_t code = kOk;   ///< else an ErrorCode
  std::uint32_t leaves = 0;  ///< 1: this worker takes no further request
  WireHeader header;         ///< kReadHeader
  std::uint64_t description_size = 0;
  std::array<char, 4000> text{};  ///< of the error; kEncode: what of the metadata could not be kept
};

/// Text in a fixed field, cut where it is full, and back. From a worker: valid UTF-8 without control characters, whatever it
/// wrote.
template <std::size_t kSize>
void put_text(std::array<char, kSize>& field, std::string_view text) noexcept {
  const std::size_t size = std::min(text.size(), kSize - 1);
  std::copy_n(text.data(), size, field.data());
  field[size] = '\0';
}
[[nodiscard]] std::string printable(std::string_view text);
template <std::size_t kSize>
[[nodiscard]] std::string text_of(const std::array<char, kSize>& field) {
  const std::string_view all(field.data(), field.size());
  return printable(all.substr(0, all.find('\0')));
}

[[nodiscard]] WireHeader wire(const image::PictureHeader& header) noexcept;
/// What a worker says that a file is, or nothing when that cannot be within `limits`.
[[nodiscard]] std::optional<image::PictureHeader> checked(const WireHeader& header, const image::DecodeLimits& limits) noexcept;

/// The error that a worker reports, or nothing when it is none that a codec has.
[[nodiscard]] std::optional<Error> checked_error(const Reply& reply);

/// Sends all of `message` with `files`. False when the other end is gone.
[[nodiscard]] bool send_message(int socket, std::span<const std::byte> message, std::span<const int> files = {}) noexcept;

/// Size of the message that arrived, which may be larger than `message`; 0 when the other end is gone. `files` receives the
/// descriptors that came along; without it none are taken.
[[nodiscard]] std::size_t receive_message(int socket, std::span<std::byte> message, std::vector<UniqueFd>* files = nullptr);

template <class Message>
std::span<const std::byte> bytes_of(const Message& message) noexcept {
  static_assert(std::is_trivially_copyable_v<Message>);
  return std::as_bytes(std::span(&message, 1));
}
template <class Message>
std::span<std::byte> writable_bytes_of(Message& message) noexcept {
  static_assert(std::is_trivially_copyable_v<Message>);
  return std::as_writable_bytes(std::span(&message, 1));
}

}  // namespace retouchd::sandbox
