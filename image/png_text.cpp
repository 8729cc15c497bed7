#include "image/png_text.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "image/utf8.h"

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kSignature = 8;
constexpr std::size_t kChunkFrame = 12;  // length, name, CRC
constexpr std::string_view kXmpKeyword = "XML:com.adobe.xmp";
constexpr std::string_view kIptcKeyword = "Raw profile type iptc";
constexpr std::string_view kProfileKeywords = "Raw profile type ";

std::uint32_t big_endian(ByteSpan bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

std::string_view text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// What `deflated` holds; nothing when it is damaged or larger than `limit`.
std::optional<std::string> inflate_text(std::string_view deflated, Bytes limit) {
  std::string text;
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return {};
  // zlib takes input it never writes to without const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  int status = Z_OK;
  char part[16'384];
  while (status == Z_OK && text.size() <= limit.value) {
    stream.next_out = reinterpret_cast<Bytef*>(part);
    stream.avail_out = sizeof part;
    status = inflate(&stream, Z_NO_FLUSH);
    text.append(part, sizeof part - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status != Z_STREAM_END || text.size() > limit.value) return {};
  return text;
}

struct Text {
  std::string_view keyword;
  std::string_view stored;
  bool is_deflated = false;
  bool is_utf8 = false;  ///< else Latin-1
};

/// The next part of `rest` up to a zero byte, which is taken off too.
std::optional<std::string_view> take_string(std::string_view& rest) {
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return {};
  const std::string_view taken = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return taken;
}

std::optional<Text> parse_text(std::string_view chunk, std::string_view rest) {
  const std::optional<std::string_view> keyword = take_string(rest);
  if (!keyword) return {};
  if (chunk == "tEXt") return Text{*keyword, rest};
  if (chunk == "zTXt") {
    if (rest.empty() || rest[0] != 0) return {};
    return Text{*keyword, rest.substr(1), true, false};
  }
  if (rest.size() < 2) return {};  // iTXt: flag, method, language, translated keyword
  const bool is_deflated = rest[0] != 0;
  rest.remove_prefix(2);
  if (!take_string(rest) || !take_string(rest)) return {};
  return Text{*keyword, rest, is_deflated, true};
}

/// "\n", name, "\n", length padded by spaces, "\n", hexadecimal digits in lines.
std::optional<ByteVector> parse_raw_profile(std::string_view text) {
  if (!text.starts_with('\n')) return {};
  const std::size_t name_end = text.find('\n', 1);
  if (name_end == std::string_view::npos) return {};
  std::string_view rest = text.substr(name_end + 1);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
  if (error != std::errc() || length > rest.size()) return {};
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  ByteVector bytes;
  bytes.reserve(length);
  int high = -1;
  for (const char c : rest) {
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else if (c == '\n' || c == ' ' || c == '\r') {
      continue;
    } else {
      return {};
    }
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<std::uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  if (bytes.size() != length) return {};
  return bytes;
}

/// Puts the profile where it belongs; false when it is malformed.
bool take_raw_profile(std::string_view keyword, std::string_view text, Metadata& metadata) {
  const std::optional<ByteVector> profile = parse_raw_profile(text);
  if (!profile) return false;
  const std::string_view bytes = text_of(*profile);
  constexpr std::string_view kExif = "Exif\0\0"sv;
  constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  if (keyword == kIptcKeyword || keyword == "Raw profile type 8bim") {
    if (metadata.iptc.empty()) metadata.iptc = iptc_from_photoshop(*profile);
  } else if (bytes.starts_with(kExif)) {
    if (metadata.exif.empty()) metadata.exif.assign(profile->begin() + kExif.size(), profile->end());
  } else if (bytes.starts_with(kXmp)) {
    if (metadata.xmp.empty()) metadata.xmp = bytes.substr(kXmp.size());
  } else if (keyword == "Raw profile type exif") {
    if (metadata.exif.empty()) metadata.exif = *profile;
  } else if (keyword == "Raw profile type xmp") {
    if (metadata.xmp.empty()) metadata.xmp = bytes;
  }
  return true;
}

std::optional<std::string> unpacked(const Text& text, Bytes most) {
  if (text.is_deflated) return inflate_text(text.stored, most);
  if (text.stored.size() > most.value) return {};
  return std::string(text.stored);
}

/// The blocks that texts carry.
bool take_block(const Text& text, Bytes limit, Metadata& metadata) {
  if (text.keyword == kXmpKeyword) {
    if (!metadata.xmp.empty()) return true;
    std::optional<std::string> xmp = unpacked(text, limit);
    if (xmp) metadata.xmp = std::move(*xmp);
    return xmp.has_value();
  }
  // Two digits a byte, and line ends.
  const std::optional<std::string> profile = unpacked(text, Bytes{limit.value * 3});
  return profile && take_raw_profile(text.keyword, *profile, metadata);
}

/// What libpng would write; it refuses the rest.
bool is_allowed(std::string_view keyword) {
  constexpr std::size_t kLongest = 79;
  const auto is_printable = [](char c) {
    const auto byte = static_cast<std::uint8_t>(c);
    return (byte >= 0x20 && byte < 0x7F) || byte > 0xA0;
  };
  return !keyword.empty() && keyword.size() <= kLongest && std::all_of(keyword.begin(), keyword.end(), is_printable) &&
         keyword.front() != ' ' && keyword.back() != ' ' && keyword.find("  ") == std::string_view::npos;
}

/// Takes the texts of one file.
class TextReader {
 public:
  TextReader(Bytes limit, Metadata& metadata, std::string& warnings) : limit_(limit), metadata_(metadata), warnings_(warnings) {}

  void take(const Text& text) {
    constexpr int kMostTexts = 1000;  // as many as libpng would take
    if (++taken_ > kMostTexts) return;
    const bool is_block = text.keyword == kXmpKeyword || text.keyword.starts_with(kProfileKeywords);
    // Thumb::* describes a thumbnail's original by path and time.
    if (!is_block && (!is_allowed(text.keyword) || text.keyword.starts_with("Thumb::"))) return;
    if (is_block ? take_block(text, limit_, metadata_) : take_words(text)) return;
    add_warning(warnings_, fmt::format("the PNG text \"{}\" is damaged or larger than limits.metadata and is not kept",
                                       utf8_of_latin1(text.keyword.substr(0, 80))));
  }

 private:
  bool take_words(const Text& text) {
    const std::optional<std::string> stored = unpacked(text, Bytes{limit_.value - std::min(limit_.value, held_)});
    if (!stored) return false;
    std::string words = text.is_utf8 ? utf8_of(*stored) : utf8_of_latin1(stored->substr(0, stored->find('\0')));
    held_ += words.size();
    if (text.keyword == kCommentKeyword && metadata_.comment.empty()) {
      metadata_.comment = std::move(words);
    } else {
      metadata_.texts.emplace_back(text.keyword, std::move(words));
    }
    return true;
  }

  Bytes limit_;
  Metadata& metadata_;
  std::string& warnings_;
  std::uint64_t held_ = 0;
  int taken_ = 0;
};

/// ImageMagick's hexadecimal notation, which Exiv2 and ExifTool read too.
std::string raw_profile_of(ByteSpan iptc) {
  const ByteVector resource = photoshop_from_iptc(iptc);
  std::string text = fmt::format("\niptc\n{:8}", resource.size());
  constexpr std::size_t kBytesPerLine = 36;
  for (std::size_t i = 0; i < resource.size(); ++i) {
    if (i % kBytesPerLine == 0) text += '\n';
    fmt::format_to(std::back_inserter(text), "{:02x}", resource[i]);
  }
  text += '\n';
  return text;
}

}  // namespace

void read_png_text(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  std::size_t at = kSignature;
  TextReader reader(limit, metadata, warnings);
  while (at + kChunkFrame <= file.size()) {
    const std::size_t length = big_endian(file, at);
    if (length > file.size() - at - kChunkFrame) return;
    const std::string_view name = text_of(file.subspan(at + 4, 4));
    if (name == "tEXt" || name == "zTXt" || name == "iTXt") {
      const ByteSpan named = file.subspan(at + 4, 4 + length);
      const bool is_sound = crc32(0, named.data(), static_cast<uInt>(named.size())) == big_endian(file, at + 8 + length);
      const std::optional<Text> text = is_sound ? parse_text(name, text_of(named.subspan(4))) : std::nullopt;
      if (text) reader.take(*text);
    }
    at += kChunkFrame + length;
  }
}

std::vector<PngText> png_texts_of(const Metadata& blocks, std::string& warnings) {
  std::vector<PngText> texts;
  if (!blocks.xmp.empty()) texts.push_back({std::string(kXmpKeyword), utf8_of(blocks.xmp), true, false});
  if (!blocks.iptc.empty()) texts.push_back({std::string(kIptcKeyword), raw_profile_of(blocks.iptc), false, true});
  const auto add = [&](std::string_view keyword, const std::string& words) {
    if (!is_allowed(keyword)) {
      add_warning(warnings, "a text whose name PNG does not allow is not kept");
      return;
    }
    std::string text = utf8_of(words);
    const bool is_ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x80; });
    constexpr std::size_t kLong = 1024;
    const bool is_long = text.size() >= kLong;
    texts.push_back({std::string(keyword), std::move(text), !is_ascii, is_long});
  };
  if (!blocks.comment.empty()) add(kCommentKeyword, blocks.comment);
  for (const auto& [keyword, words] : blocks.texts) add(keyword, words);
  return texts;
}

}  // namespace retouchd::image
