#include "image/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "image/exif_block.h"
#include "image/exif_tags.h"
#include "image/orientation.h"
#include "image/xmp_packet.h"

namespace retouchd::image {
namespace {

bool icc_fits(ByteSpan icc, int channels) {
  constexpr std::size_t kHeader = 128;
  constexpr std::size_t kColourSpace = 16;
  if (icc.size() < kHeader) return false;
  const std::string_view space(reinterpret_cast<const char*>(icc.data()) + kColourSpace, 4);
  return space == (channels == 1 ? "GRAY" : "RGB ");
}

std::uint32_t big_endian(ByteSpan bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}

constexpr std::array<std::uint8_t, 4> kResource{'8', 'B', 'I', 'M'};
constexpr std::uint32_t kIptcResource = 0x0404;

/// What a format has room for. PNM has none, and says so itself.
struct Places {
  bool has_xmp = true;
  bool has_iptc = true;
  bool has_thumbnail = true;  ///< in its EXIF: a TIFF's would be a second page
  bool has_resolution = true;
  bool has_comment = false;
};

Places places_in(FileFormat format) {
  Places places;
  places.has_xmp = format != FileFormat::kPnm;
  places.has_iptc = format != FileFormat::kWebp && format != FileFormat::kAvif && format != FileFormat::kJxl;
  places.has_thumbnail = format != FileFormat::kTiff && format != FileFormat::kPnm;
  places.has_resolution = places.has_iptc;
  places.has_comment = format == FileFormat::kJpeg || format == FileFormat::kPng || format == FileFormat::kPnm;
  return places;
}

/// With provenance even where the old packet cannot be read.
std::string prepared_xmp(const std::string& packet, bool is_wanted, const Picture& picture, bool is_turned, ByteSpan iptc,
                         std::string& warnings) {
  if (!is_wanted) return packet;
  std::string prepared;
  if (!iptc.empty()) {
    or_warn("IPTC", warnings, [&] { prepared = prepare_xmp({}, Picture{}, false, iptc); });
    if (prepared.empty()) iptc = {};
    prepared.clear();
  }
  const std::size_t before = warnings.size();
  or_warn("XMP", warnings, [&] { prepared = prepare_xmp(packet, picture, is_turned, iptc); });
  const bool is_lost = warnings.size() > before;
  if (is_lost) or_warn("provenance", warnings, [&] { prepared = prepare_xmp({}, picture, is_turned, iptc); });
  return prepared;
}

/// Where the format has a place beside the EXIF, that has what the EXIF says unless the file said it itself; where it has none,
/// the EXIF says it.
void keep_resolution(const Metadata& metadata, const Places& places, Metadata& prepared) {
  if (is_resolution(metadata.dpi_x.value_or(0)) && is_resolution(metadata.dpi_y.value_or(0))) {
    prepared.dpi_x = metadata.dpi_x;
    prepared.dpi_y = metadata.dpi_y;
  }
  std::string unread;  // a broken block has its warning already
  or_warn("EXIF", unread, [&] {
    if (!prepared.dpi_x && places.has_resolution && !prepared.exif.empty()) {
      const std::optional<Resolution> found = resolution_in(prepared.exif);
      if (!found) return;
      prepared.dpi_x = found->x;
      prepared.dpi_y = found->y;
    } else if (prepared.dpi_x && prepared.dpi_y && !places.has_resolution && prepared.exif.empty()) {
      prepared.exif = exif_of({*prepared.dpi_x, *prepared.dpi_y});
    }
  });
}

void keep_texts(const Metadata& metadata, FileFormat format, const Places& places, Metadata& prepared, std::string& warnings) {
  const bool is_png = format == FileFormat::kPng || format == FileFormat::kPnm;
  std::string lost;
  const auto lose = [&](std::string_view name) {
    constexpr std::size_t kMostNames = 120;
    if (lost.size() > kMostNames) return;
    if (!lost.empty()) lost += ", ";
    lost += name;
  };
  if (places.has_comment) {
    prepared.comment = metadata.comment;
  } else if (!metadata.comment.empty()) {
    lose(kCommentKeyword);
  }
  for (const auto& text : metadata.texts) {
    if (is_png || (places.has_comment && text.first == kCommentKeyword)) {
      prepared.texts.push_back(text);
    } else {
      lose(text.first);
    }
  }
  if (!lost.empty()) add_warning(warnings, fmt::format("{} has no place for the texts {}", name_of(format), lost));
}

}  // namespace

void add_warning(std::string& warnings, std::string_view sentence) {
  if (!warnings.empty()) warnings += "; ";
  warnings += sentence;
}

bool fits_limit(std::size_t size, Bytes limit, std::string_view block, std::string& warnings) {
  if (size <= limit.value) return true;
  add_warning(warnings, fmt::format("the {} of {} is larger than limits.metadata, which is {}, and is not kept", block,
                                    to_string(Bytes{size}), to_string(limit)));
  return false;
}

ByteVector iptc_from_photoshop(ByteSpan resources) {
  // Each: "8BIM", id, a name of one length byte + text padded to even, size, data padded to even.
  std::size_t at = 0;
  while (at + 12 <= resources.size() && std::equal(kResource.begin(), kResource.end(), resources.begin() + at)) {
    const std::uint32_t id = big_endian(resources, at + 4, 2);
    const std::size_t name = (resources[at + 6] + 2U) & ~1U;
    if (at + 6 + name + 4 > resources.size()) break;
    const std::size_t size = big_endian(resources, at + 6 + name, 4);
    const std::size_t start = at + 6 + name + 4;
    if (size > resources.size() - start) break;
    if (id == kIptcResource) {
      const ByteSpan records = resources.subspan(start, size);
      return {records.begin(), records.end()};
    }
    at = start + size + size % 2;
  }
  return {};
}

ByteVector photoshop_from_iptc(ByteSpan iptc) {
  ByteVector resource(kResource.begin(), kResource.end());
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) resource.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  put(kIptcResource, 2);
  put(0, 2);  // no name
  put(static_cast<std::uint32_t>(iptc.size()), 4);
  resource.insert(resource.end(), iptc.begin(), iptc.end());
  if (iptc.size() % 2 == 1) resource.push_back(0);
  return resource;
}

Metadata prepare_for(const Metadata& metadata, FileFormat format, const Picture& picture, int channels, std::string& warnings) {
  const Places places = places_in(format);
  Metadata prepared;
  const Result<int> orientation = metadata.exif.empty() ? Result<int>(1) : read_orientation(metadata.exif);
  if (!metadata.exif.empty()) {
    or_warn("EXIF", warnings, [&] { prepared.exif = prepare_exif(metadata.exif, picture, places.has_thumbnail, warnings); });
  }
  prepared.iptc = places.has_iptc ? metadata.iptc : ByteVector{};
  const ByteSpan iptc_for_xmp = places.has_iptc ? ByteSpan{} : ByteSpan(metadata.iptc);
  prepared.xmp =
      prepared_xmp(metadata.xmp, places.has_xmp, picture, orientation.ok() && swaps_sides(*orientation), iptc_for_xmp, warnings);
  if (!metadata.icc.empty()) {
    if (icc_fits(metadata.icc, channels)) {
      prepared.icc = metadata.icc;
    } else {
      add_warning(warnings, "the ICC profile does not describe these pixels and is not kept");
    }
  }
  keep_resolution(metadata, places, prepared);
  if (format == FileFormat::kPng) {
    prepared.gamma = metadata.gamma;
    prepared.chromaticities = metadata.chromaticities;
    prepared.srgb_intent = metadata.srgb_intent;
  }
  keep_texts(metadata, format, places, prepared, warnings);
  return prepared;
}

}  // namespace retouchd::image
