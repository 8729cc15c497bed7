// Copies a JPEG marker by marker. What is not on the list of markers that carry pixels stays behind, so that a kind of metadata
// that nobody thought of does not leave the house either.
//
//   SOI  [segment: FF marker, length, payload]...  SOS header  entropy-coded data (FF00, RSTn)  [segments, SOS...]  EOI  [rest]

#include <algorithm>
#include <array>
#include <string_view>

#include "cloud/outgoing.h"

namespace retouchd::cloud {
namespace {

using ByteSpan = std::span<const std::uint8_t>;
using namespace std::string_view_literals;

constexpr std::uint8_t kSoi = 0xD8;
constexpr std::uint8_t kEoi = 0xD9;
constexpr std::uint8_t kSos = 0xDA;
constexpr std::uint8_t kApp0 = 0xE0;
constexpr std::uint8_t kApp14 = 0xEE;
constexpr std::size_t kAdobePayload = 12;  ///< "Adobe", version, two flags, transform

bool is_standalone(std::uint8_t marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= kEoi); }

/// Frame headers and tables (C0 to CF), SOS, DQT, DNL, DRI, DHP, EXP.
bool carries_pixels(std::uint8_t marker) { return (marker >= 0xC0 && marker <= 0xCF) || (marker >= kSos && marker <= 0xDF); }

bool starts_with(ByteSpan bytes, std::string_view start) {
  return bytes.size() >= start.size() && std::equal(start.begin(), start.end(), bytes.begin(), [](char c, std::uint8_t byte) {
           return static_cast<std::uint8_t>(c) == byte;
         });
}

class Stripper {
 public:
  explicit Stripper(ByteSpan file) : file_(file) { kept_.reserve(file.size()); }

  Result<std::vector<std::uint8_t>> run() {
    if (file_.size() < 4 || file_[0] != 0xFF || file_[1] != kSoi) return corrupt("it does not begin as one");
    kept_ = {0xFF, kSoi};
    at_ = 2;
    while (skip_to_marker()) {
      const std::uint8_t marker = file_[at_ + 1];
      if (marker == kEoi) {
        kept_.insert(kept_.end(), {0xFF, kEoi});
        return std::move(kept_);
      }
      if (is_standalone(marker)) {  // a stray one means nothing
        at_ += 2;
        continue;
      }
      if (at_ + 4 > file_.size()) break;
      const std::size_t length = static_cast<std::size_t>(file_[at_ + 2]) << 8 | file_[at_ + 3];
      if (length < 2) return corrupt("a segment has no length");
      if (at_ + 2 + length > file_.size()) break;
      keep_segment(marker, file_.subspan(at_ + 4, length - 2));
      at_ += 2 + length;
      if (marker == kSos) copy_scan();
    }
    return make_error(ErrorCode::kTruncatedPicture, "the JPEG ends early");
  }

 private:
  static Error corrupt(const char* what) {
    return make_error(ErrorCode::kCorruptPicture, std::string("the JPEG is damaged: ") + what);
  }

  /// To the next FF that is followed by a marker; bytes between segments belong to none and stay behind.
  bool skip_to_marker() {
    while (at_ + 1 < file_.size()) {
      if (file_[at_] == 0xFF && file_[at_ + 1] != 0xFF && file_[at_ + 1] != 0x00) return true;
      ++at_;
    }
    return false;
  }

  void keep_segment(std::uint8_t marker, ByteSpan payload) {
    if (carries_pixels(marker)) {
      add_segment(marker, payload);
    } else if (marker == kApp0 && starts_with(payload, "JFIF\0"sv) && payload.size() >= 14) {
      // Version 1.01, no density, no thumbnail: that the marker is there is what tells the colours.
      constexpr std::array<std::uint8_t, 14> kPlain{'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
      add_segment(marker, kPlain);
    } else if (marker == kApp14 && starts_with(payload, "Adobe"sv) && payload.size() >= kAdobePayload) {
      // Only the transform counts.
      const std::array<std::uint8_t, kAdobePayload> plain{'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, payload[11]};
      add_segment(marker, plain);
    }
  }

  void add_segment(std::uint8_t marker, ByteSpan payload) {
    const std::size_t length = payload.size() + 2;
    kept_.insert(kept_.end(), {0xFF, marker, static_cast<std::uint8_t>(length >> 8), static_cast<std::uint8_t>(length & 0xFF)});
    kept_.insert(kept_.end(), payload.begin(), payload.end());
  }

  /// Entropy-coded data up to a marker that is neither a stuffed FF nor a restart.
  void copy_scan() {
    const std::size_t begin = at_;
    while (at_ + 1 < file_.size()) {
      const std::uint8_t next = file_[at_ + 1];
      const bool is_restart = next >= 0xD0 && next <= 0xD7;
      if (file_[at_] == 0xFF && next != 0x00 && next != 0xFF && !is_restart) break;
      at_ += file_[at_] == 0xFF && next != 0xFF ? 2 : 1;
    }
    kept_.insert(kept_.end(), file_.begin() + static_cast<std::ptrdiff_t>(begin),
                 file_.begin() + static_cast<std::ptrdiff_t>(at_));
  }

  ByteSpan file_;
  std::size_t at_ = 0;
  std::vector<std::uint8_t> kept_;
};

}  // namespace

Result<std::vector<std::uint8_t>> strip_jpeg(std::span<const std::uint8_t> file) { return Stripper(file).run(); }

}  // namespace retouchd::cloud
