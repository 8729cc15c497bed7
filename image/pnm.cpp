// PBM, PGM and PPM, plain and binary, as the man pages of Netpbm describe them.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "image/format_codec.h"

namespace retouchd::image {
namespace {

bool is_space(std::uint8_t c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_digit(std::uint8_t c) noexcept { return c >= '0' && c <= '9'; }

Error truncated() { return make_error(ErrorCode::kTruncatedPicture, "the PNM file ends early"); }

/// The words of a plain file, and of every header.
class Words {
 public:
  explicit Words(ByteSpan data, std::size_t at) : data_(data), at_(at) {}

  [[nodiscard]] std::size_t at() const noexcept { return at_; }

  /// A number up to `most`.
  Result<std::uint32_t> number(std::uint32_t most, std::string_view what) {
    skip_space();
    if (at_ == data_.size()) return truncated();
    constexpr std::uint64_t kHuge = std::uint64_t{1} << 32;
    std::uint64_t value = 0;
    const std::size_t start = at_;
    for (; at_ < data_.size() && is_digit(data_[at_]); ++at_)
      value = std::min<std::uint64_t>(value * 10 + (data_[at_] - '0'), kHuge);
    if (at_ == start || value > most) {
      return make_error(ErrorCode::kCorruptPicture, fmt::format("the PNM file has no valid {} at byte {}", what, start));
    }
    return static_cast<std::uint32_t>(value);
  }

  /// One digit of a plain PBM, which need not be apart from the next.
  Result<std::uint32_t> digit() {
    skip_space();
    if (at_ == data_.size()) return truncated();
    if (data_[at_] != '0' && data_[at_] != '1') {
      return make_error(ErrorCode::kCorruptPicture, fmt::format("the PNM file has no valid pixel at byte {}", at_));
    }
    return static_cast<std::uint32_t>(data_[at_++] - '0');
  }

 private:
  void skip_space() noexcept {
    while (at_ < data_.size() && (is_space(data_[at_]) || data_[at_] == '#')) {
      if (data_[at_++] != '#') continue;
      while (at_ < data_.size() && data_[at_] != '\n' && data_[at_] != '\r') ++at_;
    }
  }

  ByteSpan data_;
  std::size_t at_;
};

struct Layout {
  int kind = 0;  ///< n of Pn
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t most = 1;  ///< the value of white
  std::size_t pixels = 0;  ///< where they start

  [[nodiscard]] bool is_plain() const noexcept { return kind <= 3; }
  [[nodiscard]] bool is_bitmap() const noexcept { return kind == 1 || kind == 4; }
  [[nodiscard]] int channels() const noexcept { return kind == 3 || kind == 6 ? 3 : 1; }
  [[nodiscard]] int depth() const noexcept { return most > 255 ? CV_16U : CV_8U; }
  [[nodiscard]] std::size_t row_samples() const noexcept { return std::size_t{width} * static_cast<std::size_t>(channels()); }
  [[nodiscard]] std::size_t row_bytes() const noexcept {
    return is_bitmap() ? (std::size_t{width} + 7) / 8 : row_samples() * (most > 255 ? 2 : 1);
  }
  /// `value` where white is 255 or 65535.
  [[nodiscard]] std::uint32_t spread(std::uint32_t value) const noexcept {
    const std::uint32_t white = most > 255 ? 65'535 : 255;
    return (std::min(value, most) * white + most / 2) / most;
  }
};

Result<Layout> read_layout(ByteSpan data) {
  Layout layout;
  if (data.size() < 3) return truncated();
  layout.kind = data[1] - '0';
  Words words(data, 2);
  constexpr std::uint32_t kMostSide = 1'000'000'000;
  const auto read = [&](std::uint32_t& value, std::uint32_t most, std::string_view what) -> Result<void> {
    Result<std::uint32_t> number = words.number(most, what);
    if (!number) return number.error();
    value = *number;
    return {};
  };
  if (Result<void> width = read(layout.width, kMostSide, "width"); !width) return width.error();
  if (Result<void> height = read(layout.height, kMostSide, "height"); !height) return height.error();
  if (!layout.is_bitmap()) {
    if (Result<void> most = read(layout.most, 65'535, "largest value"); !most) return most.error();
    if (layout.most == 0) return make_error(ErrorCode::kCorruptPicture, "the PNM file says that its largest value is 0");
  }
  layout.pixels = words.at();
  if (layout.is_plain()) return layout;
  if (layout.pixels == data.size()) return truncated();
  if (!is_space(data[layout.pixels])) {
    return make_error(ErrorCode::kCorruptPicture, "the header of the PNM file does not end in white space");
  }
  ++layout.pixels;
  return layout;
}

template <class Sample>
Result<void> read_plain(ByteSpan data, const Layout& layout, cv::Mat& plane) {
  Words words(data, layout.pixels);
  for (int y = 0; y < plane.rows; ++y) {
    Sample* const row = plane.ptr<Sample>(y);
    for (std::size_t i = 0; i < layout.row_samples(); ++i) {
      Result<std::uint32_t> value = layout.is_bitmap() ? words.digit() : words.number(layout.most, "sample");
      if (!value) return value.error();
      row[i] = static_cast<Sample>(layout.is_bitmap() ? 255 * (1 - *value) : layout.spread(*value));
    }
  }
  return {};
}

void read_bits(const std::uint8_t* from, std::uint8_t* to, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) to[i] = (from[i / 8] >> (7 - i % 8) & 1) != 0 ? 0 : 255;
}

Result<void> read_binary(ByteSpan data, const Layout& layout, cv::Mat& plane) {
  const std::size_t row_bytes = layout.row_bytes();
  if ((data.size() - layout.pixels) / row_bytes < layout.height) return truncated();
  const std::uint8_t* from = data.data() + layout.pixels;
  std::vector<std::uint16_t> spread;
  for (std::uint32_t value = 0; layout.most != 255 && layout.most != 65'535 && value < (layout.most > 255 ? 65'536U : 256U);
       ++value) {
    spread.push_back(static_cast<std::uint16_t>(layout.spread(value)));
  }
  for (int y = 0; y < plane.rows; ++y, from += row_bytes) {
    if (layout.is_bitmap()) {
      read_bits(from, plane.ptr(y), layout.width);
    } else if (layout.most > 255) {
      auto* row = plane.ptr<std::uint16_t>(y);
      for (std::size_t i = 0; i < layout.row_samples(); ++i) {
        const auto value = static_cast<std::uint16_t>(from[2 * i] << 8 | from[2 * i + 1]);
        row[i] = spread.empty() ? value : spread[value];
      }
    } else if (spread.empty()) {
      std::memcpy(plane.ptr(y), from, row_bytes);
    } else {
      std::transform(from, from + row_bytes, plane.ptr(y), [&](std::uint8_t v) { return static_cast<std::uint8_t>(spread[v]); });
    }
  }
  return {};
}

/// What of the metadata stays behind. Our own note in the XMP is no loss.
std::string losses(const Picture& picture, const Metadata& blocks) {
  std::string lost;
  const auto name = [&](bool is_there, std::string_view block) {
    if (is_there) lost += fmt::format("{}{}", lost.empty() ? "" : ", ", block);
  };
  name(!blocks.exif.empty(), "EXIF");
  name(picture.metadata != nullptr && !picture.metadata->xmp.empty() && !blocks.xmp.empty(), "XMP");
  name(!blocks.iptc.empty(), "IPTC");
  name(!blocks.icc.empty(), "the ICC profile");
  name(!blocks.comment.empty() || !blocks.texts.empty(), "comments");
  name(blocks.dpi_x.has_value(), "the resolution");
  return lost;
}

}  // namespace

Result<PictureHeader> read_pnm_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Result<Layout> layout = read_layout(data);
  if (!layout) return layout.error();
  PictureHeader header;
  header.format = FileFormat::kPnm;
  header.width = layout->width;
  header.height = layout->height;
  header.channels = layout->channels();
  header.bits = layout->depth() == CV_16U ? 16 : 8;
  return header;
}

Result<StoredPicture> decode_pnm(ByteSpan data, const DecodeLimits& /*limits*/, PlaneMemory& memory) {
  Result<Layout> layout = read_layout(data);
  if (!layout) return layout.error();
  StoredPicture stored;
  stored.orientation = 1;
  stored.colour = memory.make({static_cast<int>(layout->width), static_cast<int>(layout->height)},
                              CV_MAKETYPE(layout->depth(), layout->channels()));
  Result<void> read = !layout->is_plain()         ? read_binary(data, *layout, stored.colour)
                      : layout->depth() == CV_16U ? read_plain<std::uint16_t>(data, *layout, stored.colour)
                                                  : read_plain<std::uint8_t>(data, *layout, stored.colour);
  if (!read) return read.error();
  return stored;
}

Result<void> encode_pnm(const Picture& picture, const EncodeOptions& /*options*/, const Metadata& blocks, OutputFile& file,
                        std::string& warnings) {
  const cv::Mat& colour = picture.colour;
  const bool is_wide = colour.depth() == CV_16U;
  const std::string head =
      fmt::format("P{}\n{} {}\n{}\n", colour.channels() == 1 ? 5 : 6, colour.cols, colour.rows, is_wide ? 65'535 : 255);
  if (!file.append({reinterpret_cast<const std::uint8_t*>(head.data()), head.size()})) return file.error();
  const auto samples = static_cast<std::size_t>(colour.cols) * static_cast<std::size_t>(colour.channels());
  ByteVector swapped(is_wide ? 2 * samples : 0);
  for (int y = 0; y < colour.rows; ++y) {
    ByteSpan row(colour.ptr(y), samples);
    if (is_wide) {
      const auto* from = colour.ptr<std::uint16_t>(y);
      for (std::size_t i = 0; i < samples; ++i) {
        swapped[2 * i] = static_cast<std::uint8_t>(from[i] >> 8);
        swapped[2 * i + 1] = static_cast<std::uint8_t>(from[i]);
      }
      row = swapped;
    }
    if (!file.append(row)) return file.error();
  }
  const std::string lost = losses(picture, blocks);
  if (!lost.empty()) add_warning(warnings, fmt::format("a PNM file has no place for {}", lost));
  return {};
}

}  // namespace retouchd::image
