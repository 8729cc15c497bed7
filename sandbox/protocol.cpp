#include "sandbox/protocol.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace retouchd::sandbox {
namespace {

/// What may go wrong with a file and with the room for it. Everything else is not a codec's to say.
constexpr std::array kCodecErrors{
    ErrorCode::kInputEmpty,       ErrorCode::kInputChanged,    ErrorCode::kUnsupportedFormat, ErrorCode::kCorruptPicture,
    ErrorCode::kTruncatedPicture, ErrorCode::kPictureTooLarge, ErrorCode::kOverMemoryBudget,  ErrorCode::kOutputDenied,
    ErrorCode::kDiskFull,         ErrorCode::kIoError,         ErrorCode::kInternal,          ErrorCode::kInputUnreadable,
};

/// Length of the UTF-8 sequence at the beginning of `text`, which is not empty; 0 when it is none.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80U                     ? 1
                             : first >= 0xC2U && first < 0xE0U ? 2
                             : first >= 0xE0U && first < 0xF0U ? 3
                             : first >= 0xF0U && first < 0xF5U ? 4
                                                               : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  if (length < 3) return length;
  const unsigned second = byte(1);
  const bool is_overlong = (first == 0xE0U && second < 0xA0U) || (first == 0xF0U && second < 0x90U);
  const bool is_outside = (first == 0xEDU && second >= 0xA0U) || (first == 0xF4U && second >= 0x90U);
  return is_overlong || is_outside ? 0 : length;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool is_control = length == 1 && (first < 0x20U || first == 0x7FU);
    // C1 controls are two bytes: C2 80 .. C2 9F.
    const bool is_c1 = length == 2 && first == 0xC2U && static_cast<unsigned char>(text[1]) < 0xA0U;
    if (length == 0 || is_control || is_c1) {
      clean += '?';
    } else {
      clean += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return clean;
}

WireHeader wire(const image::PictureHeader& header) noexcept {
  // All members by name: one that is added must cross too.
  const auto& [format, width, height, channels, bits, orientation, progressive, frames, working, more_pages] = header;
  return {static_cast<std::uint32_t>(format),
          width,
          height,
          channels,
          bits,
          orientation,
          progressive ? 1U : 0U,
          frames,
          working.value,
          more_pages.value};
}

std::optional<image::PictureHeader> checked(const WireHeader& header, const image::DecodeLimits& limits) noexcept {
  // Far above what any picture within the limits takes, far below what overflows a sum.
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 50U;
  const double megapixels = static_cast<double>(header.width) * header.height / 1e6;
  const bool has_size = header.width > 0 && header.height > 0 && header.width <= limits.side && header.height <= limits.side &&
                        megapixels <= limits.megapixels;
  const bool has_samples = header.channels >= 1 && header.channels <= 4 &&
                           (header.bits == 8 || header.bits == 16 || header.bits == 32) && header.orientation >= 1 &&
                           header.orientation <= 8;
  const bool has_rest = header.format <= static_cast<std::uint32_t>(image::FileFormat::kRaw) && header.frames >= 1 &&
                        header.frames <= limits.frames && header.working <= kMostBytes &&
                        header.more_pages <= (limits.all_pages ? kMostBytes : 0);
  if (!has_size || !has_samples || !has_rest) return std::nullopt;
  image::PictureHeader picture;
  picture.format = static_cast<image::FileFormat>(header.format);
  picture.width = header.width;
  picture.height = header.height;
  picture.channels = header.channels;
  picture.bits = header.bits;
  picture.progressive = header.progressive != 0;
  picture.orientation = header.orientation;
  picture.frames = header.frames;
  picture.working = Bytes{header.working};
  picture.more_pages = Bytes{header.more_pages};
  return picture;
}

std::optional<Error> checked_error(const Reply& reply) {
  const auto code = static_cast<ErrorCode>(reply.code);
  if (std::find(kCodecErrors.begin(), kCodecErrors.end(), code) == kCodecErrors.end()) return std::nullopt;
  return make_error(code, text_of(reply.text));
}

bool send_message(int socket, std::span<const std::byte> message, std::span<const int> files) noexcept {
  iovec part{const_cast<std::byte*>(message.data()), message.size()};  // NOLINT: sendmsg() changes nothing
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFiles * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!files.empty() && files.size() <= kMostFiles) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(files.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(files.size_bytes());
    std::memcpy(CMSG_DATA(rights), files.data(), files.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(message.size());
}

std::size_t receive_message(int socket, std::span<std::byte> message, std::vector<UniqueFd>* files) {
  iovec part{message.data(), message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFiles * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (files != nullptr) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
  }
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_TRUNC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return 0;
  if (files == nullptr) return static_cast<std::size_t>(got);
  for (cmsghdr* entry = CMSG_FIRSTHDR(&header); entry != nullptr; entry = CMSG_NXTHDR(&header, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, kMostFiles> numbers{};
    std::memcpy(numbers.data(), CMSG_DATA(entry), std::min(count, kMostFiles) * sizeof(int));
    for (std::size_t i = 0; i < std::min(count, kMostFiles); ++i) files->emplace_back(numbers[i]);
  }
  return static_cast<std::size_t>(got);
}

}  // namespace retouchd::sandbox
