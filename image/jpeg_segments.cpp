#include "image/jpeg_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExif = "Exif\0\0"sv;
constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view kMoreXmp = "http://ns.adobe.com/xmp/extension/\0"sv;
constexpr std::string_view kPhotoshop = "Photoshop 3.0\0"sv;
constexpr std::string_view kIcc = "ICC_PROFILE\0"sv;  // then the number of this part, from 1, and how many there are
constexpr std::size_t kLargestPayload = 65'533;

bool starts_with(ByteSpan bytes, std::string_view start) {
  return bytes.size() >= start.size() && std::equal(start.begin(), start.end(), bytes.begin(), [](char c, std::uint8_t byte) {
           return static_cast<std::uint8_t>(c) == byte;
         });
}

void append(ByteVector& bytes, ByteSpan more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

ByteVector with_name(std::string_view name, ByteSpan rest) {
  ByteVector payload(name.begin(), name.end());
  append(payload, rest);
  return payload;
}

/// Calls `visit(marker, payload)` for each segment with a length before the first scan.
template <class Visit>
void for_each_segment(ByteSpan file, Visit&& visit) {
  std::size_t at = 2;
  while (at + 4 <= file.size()) {
    if (file[at] != 0xFF) return;
    const int marker = file[at + 1];
    if (marker == 0xFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker == 0xDA || marker == 0xD9) return;
    const std::size_t length = static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3];
    if (length < 2 || at + 2 + length > file.size()) return;
    visit(marker, file.subspan(at + 4, length - 2));
    at += 2 + length;
  }
}

struct IccParts {
  std::map<int, ByteSpan> parts;
  int expected = 0;
  std::size_t size = 0;

  void add(ByteSpan payload) {
    if (payload.size() < kIcc.size() + 2) return;
    expected = payload[kIcc.size() + 1];
    const ByteSpan part = payload.subspan(kIcc.size() + 2);
    if (parts.emplace(payload[kIcc.size()], part).second) size += part.size();
  }

  void assemble(ByteVector& icc, std::string& warnings) const {
    if (parts.empty()) return;
    if (static_cast<int>(parts.size()) != expected || parts.begin()->first != 1 || parts.rbegin()->first != expected) {
      add_warning(warnings, "the ICC profile is incomplete");
      return;
    }
    for (const auto& [number, part] : parts) append(icc, part);
  }
};

}  // namespace

void read_jpeg_segments(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  IccParts icc;
  ByteVector photoshop;
  bool has_more_xmp = false;
  bool is_photoshop_too_large = false;
  for_each_segment(file, [&](int marker, ByteSpan payload) {
    if (marker == 0xE1 && starts_with(payload, kExif) && metadata.exif.empty()) {
      if (!fits_limit(payload.size(), limit, "EXIF", warnings)) return;
      append(metadata.exif, payload.subspan(kExif.size()));
    } else if (marker == 0xE1 && starts_with(payload, kXmp) && metadata.xmp.empty()) {
      if (!fits_limit(payload.size(), limit, "XMP", warnings)) return;
      metadata.xmp.assign(payload.begin() + kXmp.size(), payload.end());
    } else if (marker == 0xE1 && starts_with(payload, kMoreXmp)) {
      has_more_xmp = true;
    } else if (marker == 0xE2 && starts_with(payload, kIcc)) {
      icc.add(payload);
    } else if (marker == 0xED && starts_with(payload, kPhotoshop)) {
      is_photoshop_too_large = is_photoshop_too_large || photoshop.size() + payload.size() > limit.value;
      if (!is_photoshop_too_large) append(photoshop, payload.subspan(kPhotoshop.size()));
    }
  });
  if (has_more_xmp) add_warning(warnings, "the extended part of the XMP is not kept");
  if (is_photoshop_too_large) {
    add_warning(warnings, "the IPTC is larger than limits.metadata and is not kept");
  } else if (!photoshop.empty()) {
    metadata.iptc = iptc_from_photoshop(photoshop);
  }
  if (fits_limit(icc.size, limit, "ICC", warnings)) icc.assemble(metadata.icc, warnings);
}

std::vector<JpegSegment> jpeg_segments_of(const Metadata& blocks, std::string& warnings) {
  std::vector<JpegSegment> segments;
  const auto add = [&](int app, std::string_view name, ByteSpan block, std::string_view title) {
    if (block.empty()) return;
    if (name.size() + block.size() > kLargestPayload) {
      add_warning(warnings, fmt::format("{} of {} bytes does not fit a JPEG and is not kept", title, block.size()));
      return;
    }
    segments.push_back({app, with_name(name, block)});
  };
  add(1, kExif, blocks.exif, "EXIF");
  add(1, kXmp, {reinterpret_cast<const std::uint8_t*>(blocks.xmp.data()), blocks.xmp.size()}, "XMP");
  if (!blocks.iptc.empty()) add(13, kPhotoshop, photoshop_from_iptc(blocks.iptc), "IPTC");

  const std::size_t most = kLargestPayload - kIcc.size() - 2;
  const std::size_t parts = (blocks.icc.size() + most - 1) / most;
  if (parts > 255) {
    add_warning(warnings, fmt::format("the ICC profile of {} bytes does not fit a JPEG and is not kept", blocks.icc.size()));
    return segments;
  }
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t start = part * most;
    ByteVector payload(kIcc.begin(), kIcc.end());
    payload.push_back(static_cast<std::uint8_t>(part + 1));
    payload.push_back(static_cast<std::uint8_t>(parts));
    append(payload, ByteSpan(blocks.icc).subspan(start, std::min(most, blocks.icc.size() - start)));
    segments.push_back({2, std::move(payload)});
  }
  return segments;
}

}  // namespace retouchd::image
