#include "sandbox/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "image/metadata.h"
#include "sandbox/protocol.h"

namespace retouchd::sandbox {
namespace {

using image::Metadata;
using image::Picture;

/// Kinds of blocks in Metadata whose size the file decides.
constexpr std::uint64_t kBlocks = 6;

/// Numbers as they lie in memory; text and blocks behind their length.
class Writer {
 public:
  template <class Number>
  void number(Number value) {
    static_assert(std::is_arithmetic_v<Number>);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(value));
  }
  template <class Block>
  void block(const Block& block) {
    number<std::uint64_t>(block.size());
    bytes_.insert(bytes_.end(), block.begin(), block.end());
  }
  template <class Number>
  void optional(const std::optional<Number>& value) {
    number<std::uint8_t>(value.has_value() ? 1 : 0);
    number(value.value_or(Number{}));
  }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  std::vector<std::uint8_t> bytes_;
};

/// Hands out zeros once anything was missing.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}

  template <class Number>
  Number number() {
    static_assert(std::is_arithmetic_v<Number>);
    Number value{};
    if (const auto part = next(sizeof(value)); !part.empty()) std::memcpy(&value, part.data(), sizeof(value));
    return value;
  }
  template <class Block>
  Block block() {
    const auto part = next(number<std::uint64_t>());
    return Block(part.begin(), part.end());
  }
  template <class Number>
  std::optional<Number> optional() {
    const bool is_there = number<std::uint8_t>() != 0;
    const Number value = number<Number>();
    return is_there ? std::optional(value) : std::nullopt;
  }
  /// How many items follow, each of at least `size` bytes.
  std::uint64_t count(std::uint64_t size) {
    const auto count = number<std::uint64_t>();
    if (count <= bytes_.size() / size) return count;
    is_good_ = false;
    return 0;
  }
  [[nodiscard]] bool is_good() const noexcept { return is_good_; }
  [[nodiscard]] bool is_at_end() const noexcept { return bytes_.empty(); }

 private:
  std::span<const std::uint8_t> next(std::uint64_t size) {
    if (!is_good_ || size > bytes_.size()) {
      is_good_ = false;
      return {};
    }
    const auto part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return part;
  }

  std::span<const std::uint8_t> bytes_;
  bool is_good_ = true;
};

void write_plane(Writer& to, const cv::Mat& plane, const OffsetOf& offset_of) {
  to.number<std::uint32_t>(static_cast<std::uint32_t>(plane.cols));
  to.number<std::uint32_t>(static_cast<std::uint32_t>(plane.rows));
  to.number<std::int32_t>(plane.type());
  to.number<std::uint64_t>(plane.empty() ? 0 : offset_of(plane));
}

using Texts = std::vector<std::pair<std::string, std::string>>;

void write_texts(Writer& to, const Texts& texts) {
  to.number<std::uint64_t>(texts.size());
  for (const auto& [name, text] : texts) {
    to.block(name);
    to.block(text);
  }
}

Texts read_texts(Reader& from) {
  Texts texts;
  for (std::uint64_t left = from.count(2 * sizeof(std::uint64_t)); left > 0; --left) {
    auto name = from.block<std::string>();
    auto text = from.block<std::string>();
    texts.emplace_back(std::move(name), std::move(text));
  }
  return texts;
}

// Here and below all members by name: one that is added must cross too.
void write_metadata(Writer& to, const Metadata& metadata) {
  const auto& [exif, xmp, iptc, icc, comment, texts, dpi_x, dpi_y, gamma, chromaticities, srgb_intent] = metadata;
  to.block(exif);
  to.block(xmp);
  to.block(iptc);
  to.block(icc);
  to.block(comment);
  write_texts(to, texts);
  to.optional(dpi_x);
  to.optional(dpi_y);
  to.optional(gamma);
  to.number<std::uint8_t>(chromaticities ? 1 : 0);
  for (const std::int32_t value : chromaticities.value_or(std::array<std::int32_t, 8>{})) to.number(value);
  to.optional(srgb_intent);
}

Metadata read_metadata(Reader& from) {
  Metadata metadata;
  metadata.exif = from.block<image::ByteVector>();
  metadata.xmp = from.block<std::string>();
  metadata.iptc = from.block<image::ByteVector>();
  metadata.icc = from.block<image::ByteVector>();
  metadata.comment = from.block<std::string>();
  metadata.texts = read_texts(from);
  metadata.dpi_x = from.optional<double>();
  metadata.dpi_y = from.optional<double>();
  metadata.gamma = from.optional<std::int32_t>();
  const bool has_chromaticities = from.number<std::uint8_t>() != 0;
  std::array<std::int32_t, 8> chromaticities{};
  for (std::int32_t& value : chromaticities) value = from.number<std::int32_t>();
  if (has_chromaticities) metadata.chromaticities = chromaticities;
  metadata.srgb_intent = from.optional<int>();
  return metadata;
}

void write_picture(Writer& to, const Picture& picture, const OffsetOf& offset_of) {
  const auto& [colour, alpha, format, range, space, file_bits, metadata, orientation, warning, provenance, pages] = picture;
  write_plane(to, colour, offset_of);
  write_plane(to, alpha, offset_of);
  to.number<std::uint32_t>(static_cast<std::uint32_t>(format));
  to.number(range.low);
  to.number(range.high);
  to.number<std::uint32_t>(space == image::WorkingSpace::kExtendedSrgb ? 1 : 0);
  to.number<std::int32_t>(file_bits);
  to.number<std::int32_t>(orientation);
  to.number<std::uint8_t>(metadata ? 1 : 0);
  if (metadata) write_metadata(to, *metadata);
  to.block(warning);
  write_texts(to, provenance);
  to.number<std::uint64_t>(pages.size());
  for (const Picture& page : pages) write_picture(to, page, offset_of);
}

bool is_plane_type(int type) noexcept {
  const int depth = CV_MAT_DEPTH(type);
  const int channels = CV_MAT_CN(type);
  return type == CV_MAKETYPE(depth, channels) && (depth == CV_8U || depth == CV_16U || depth == CV_32F) &&
         (channels == 1 || channels == 3);
}

/// Reads one picture; `reason` receives what is wrong with it.
class PictureReader {
 public:
  PictureReader(std::span<const std::uint8_t> bytes, const PlaneAt& plane_at) : from_(bytes), plane_at_(plane_at) {}

  Result<Picture> read() {
    Picture picture = one(0);
    if (!from_.is_good()) wrong("it ends early");
    if (reason_.empty() && !from_.is_at_end()) wrong("something follows it");
    if (!reason_.empty())
      return make_error(ErrorCode::kInternal, fmt::format("a description of a picture is unusable: {}", reason_));
    return picture;
  }

 private:
  void wrong(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }

  cv::Mat plane() {
    const auto width = from_.number<std::uint32_t>();
    const auto height = from_.number<std::uint32_t>();
    const auto type = from_.number<std::int32_t>();
    const auto offset = from_.number<std::uint64_t>();
    if (!from_.is_good() || (width == 0 && height == 0)) return {};
    constexpr std::uint32_t kMostSide = 1U << 20U;  // so that areas and strides do not overflow
    if (width == 0 || height == 0 || width > kMostSide || height > kMostSide || !is_plane_type(type)) {
      wrong(fmt::format("a plane of {}x{}, type {}", width, height, type));
      return {};
    }
    cv::Mat plane = plane_at_(offset, {static_cast<int>(width), static_cast<int>(height)}, type);
    if (plane.empty()) wrong(fmt::format("a plane of {}x{} at {} lies outside its memory", width, height, offset));
    return plane;
  }

  Picture one(int depth) {
    Picture picture;
    picture.colour = plane();
    picture.alpha = plane();
    const auto format = from_.number<std::uint32_t>();
    picture.range.low = from_.number<float>();
    picture.range.high = from_.number<float>();
    const auto space = from_.number<std::uint32_t>();
    picture.file_bits = from_.number<std::int32_t>();
    picture.orientation = from_.number<std::int32_t>();
    if (from_.number<std::uint8_t>() != 0) picture.metadata = std::make_shared<const Metadata>(read_metadata(from_));
    picture.metadata_warning = printable(from_.block<std::string>());
    picture.provenance = read_texts(from_);
    if (from_.is_good()) check(picture, format, space);
    picture.format = static_cast<image::FileFormat>(format);
    picture.space = space == 1 ? image::WorkingSpace::kExtendedSrgb : image::WorkingSpace::kFile;
    constexpr std::uint64_t kLeastPage = 64;
    const std::uint64_t pages = from_.count(kLeastPage);
    if (pages > 0 && depth > 0) wrong("pages of a page");
    for (std::uint64_t left = pages; left > 0 && reason_.empty() && from_.is_good(); --left) picture.pages.push_back(one(1));
    return picture;
  }

  void check(const Picture& picture, std::uint32_t format, std::uint32_t space) {
    if (picture.colour.empty()) wrong("it has no pixels");
    const bool alpha_fits = picture.alpha.empty() || (picture.alpha.size() == picture.colour.size() &&
                                                      picture.alpha.type() == CV_MAKETYPE(picture.colour.depth(), 1));
    if (!alpha_fits) wrong("its alpha does not fit its colour");
    if (format > static_cast<std::uint32_t>(image::FileFormat::kRaw)) wrong("an unknown format");
    if (space > 1) wrong("an unknown colour space");
    if (picture.file_bits != 8 && picture.file_bits != 16 && picture.file_bits != 32) wrong("an unknown depth");
    if (picture.orientation < 1 || picture.orientation > 8) wrong("an unknown orientation");
    if (!std::isfinite(picture.range.low) || !std::isfinite(picture.range.high)) wrong("values without a range");
    if (picture.metadata &&
        !(std::isfinite(picture.metadata->dpi_x.value_or(1)) && std::isfinite(picture.metadata->dpi_y.value_or(1)))) {
      wrong("a resolution that is no number");
    }
  }

  Reader from_;
  const PlaneAt& plane_at_;
  std::string reason_;
};

}  // namespace

std::vector<std::uint8_t> describe(const Picture& picture, const OffsetOf& offset_of) {
  Writer to;
  write_picture(to, picture, offset_of);
  return to.take();
}

Result<Picture> picture_from(std::span<const std::uint8_t> bytes, const PlaneAt& plane_at) {
  return PictureReader(bytes, plane_at).read();
}

Bytes most_described(Bytes metadata, int pages) noexcept {
  const std::uint64_t one = kBlocks * metadata.value + mebibytes(1).value;
  const auto count = static_cast<std::uint64_t>(std::max(pages, 1));
  return Bytes{std::min(one * count, gibibytes(1).value)};
}

}  // namespace retouchd::sandbox
