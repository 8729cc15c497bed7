#include "image/jpeg_segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "image/exif_tags.h"
#include "image/xmp_packet.h"

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kExif = "Exif\0\0"sv;
constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view kMoreXmp = "http://ns.adobe.com/xmp/extension/\0"sv;  // then guid, size of the whole, offset, part
constexpr std::string_view kPhotoshop = "Photoshop 3.0\0"sv;
constexpr std::string_view kIcc = "ICC_PROFILE\0"sv;  // then the number of this part, from 1, and how many there are
constexpr std::size_t kLargestPayload = 65'533;
constexpr std::size_t kGuid = 32;
constexpr int kApp = 0xE0;
constexpr int kComment = 0xFE;

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

ByteSpan bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
std::string_view text_of(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::uint32_t big_endian(ByteSpan bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
  return value;
}

/// The parts of the extended XMP, which may come in any order, and of several packets.
class ExtendedXmp {
 public:
  void add(ByteSpan payload) {
    constexpr std::size_t kHead = kGuid + 8;
    payload = payload.subspan(kMoreXmp.size());
    if (payload.size() < kHead) return;
    parts_.push_back(
        {text_of(payload.first(kGuid)), big_endian(payload, kGuid), big_endian(payload, kGuid + 4), payload.subspan(kHead)});
  }

  /// Into the one packet of `metadata`.
  void merge(Bytes limit, Metadata& metadata, std::string& warnings) {
    if (parts_.empty()) return;
    or_warn("extended part of the XMP", warnings, [&] {
      const std::string guid = metadata.xmp.empty() ? std::string() : extended_guid(metadata.xmp);
      const std::string extended = guid.size() == kGuid ? assemble(guid) : std::string();
      if (extended.empty()) {
        add_warning(warnings, "the extended part of the XMP is incomplete and is not kept");
      } else if (fits_limit(metadata.xmp.size() + extended.size(), limit, "XMP", warnings)) {
        metadata.xmp = merge_xmp(metadata.xmp, extended);
      }
    });
  }

 private:
  struct Part {
    std::string_view guid;
    std::size_t whole = 0;
    std::size_t offset = 0;
    ByteSpan bytes;
  };

  /// Empty unless the parts of `guid` lie one behind the other from the first byte to the last.
  std::string assemble(std::string_view guid) {
    std::erase_if(parts_, [&](const Part& part) { return part.guid != guid; });
    std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.offset < b.offset; });
    std::string extended;
    for (const Part& part : parts_) {
      if (part.offset != extended.size() || part.whole != parts_.front().whole) return {};
      extended += text_of(part.bytes);
    }
    return !parts_.empty() && extended.size() == parts_.front().whole ? extended : std::string();
  }

  std::vector<Part> parts_;
};

void take_comment(std::string_view comment, Bytes limit, Metadata& metadata, std::string& warnings) {
  if (comment.empty() || !fits_limit(comment.size(), limit, "comment", warnings)) return;
  constexpr std::size_t kMostComments = 100;
  if (metadata.comment.empty()) {
    metadata.comment = comment;
  } else if (metadata.texts.size() < kMostComments) {
    metadata.texts.emplace_back(kCommentKeyword, comment);
  }
}

void add_xmp(const std::string& xmp, std::vector<JpegSegment>& segments, std::string& warnings) {
  if (xmp.empty()) return;
  or_warn("XMP", warnings, [&] {
    const SplitXmp split = split_xmp(xmp, kLargestPayload - kXmp.size());
    if (split.standard.size() > kLargestPayload - kXmp.size()) throw std::runtime_error("it does not fit a JPEG");
    segments.push_back({kApp + 1, with_name(kXmp, bytes_of(split.standard))});
    constexpr std::size_t kMost = 65'000;
    for (std::size_t at = 0; at < split.extended.size(); at += kMost) {
      ByteVector payload = with_name(kMoreXmp, bytes_of(split.guid));
      for (const std::size_t number : {split.extended.size(), at}) {
        for (int shift = 24; shift >= 0; shift -= 8) payload.push_back(static_cast<std::uint8_t>(number >> shift));
      }
      append(payload, bytes_of(split.extended).subspan(at, std::min(kMost, split.extended.size() - at)));
      segments.push_back({kApp + 1, std::move(payload)});
    }
  });
}

/// Photoshop's resources may go on in the next segment.
void add_iptc(const ByteVector& iptc, std::vector<JpegSegment>& segments) {
  if (iptc.empty()) return;
  const ByteVector resources = photoshop_from_iptc(iptc);
  const std::size_t most = kLargestPayload - kPhotoshop.size();
  for (std::size_t at = 0; at < resources.size(); at += most) {
    const ByteSpan part = ByteSpan(resources).subspan(at, std::min(most, resources.size() - at));
    segments.push_back({kApp + 13, with_name(kPhotoshop, part)});
  }
}

void add_icc(const ByteVector& icc, std::vector<JpegSegment>& segments, std::string& warnings) {
  const std::size_t most = kLargestPayload - kIcc.size() - 2;
  const std::size_t parts = (icc.size() + most - 1) / most;
  if (parts > 255) {
    add_warning(warnings, fmt::format("the ICC profile of {} bytes does not fit a JPEG and is not kept", icc.size()));
    return;
  }
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t start = part * most;
    ByteVector payload(kIcc.begin(), kIcc.end());
    payload.push_back(static_cast<std::uint8_t>(part + 1));
    payload.push_back(static_cast<std::uint8_t>(parts));
    append(payload, ByteSpan(icc).subspan(start, std::min(most, icc.size() - start)));
    segments.push_back({kApp + 2, std::move(payload)});
  }
}

}  // namespace

void read_jpeg_segments(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  IccParts icc;
  ByteVector photoshop;
  ExtendedXmp more_xmp;
  bool is_photoshop_too_large = false;
  for_each_segment(file, [&](int marker, ByteSpan payload) {
    if (marker == kApp + 1 && starts_with(payload, kExif) && metadata.exif.empty()) {
      if (!fits_limit(payload.size(), limit, "EXIF", warnings)) return;
      append(metadata.exif, payload.subspan(kExif.size()));
    } else if (marker == kApp + 1 && starts_with(payload, kXmp) && metadata.xmp.empty()) {
      if (!fits_limit(payload.size(), limit, "XMP", warnings)) return;
      metadata.xmp.assign(payload.begin() + kXmp.size(), payload.end());
    } else if (marker == kApp + 1 && starts_with(payload, kMoreXmp)) {
      more_xmp.add(payload);
    } else if (marker == kApp + 2 && starts_with(payload, kIcc)) {
      icc.add(payload);
    } else if (marker == kApp + 13 && starts_with(payload, kPhotoshop)) {
      is_photoshop_too_large = is_photoshop_too_large || photoshop.size() + payload.size() > limit.value;
      if (!is_photoshop_too_large) append(photoshop, payload.subspan(kPhotoshop.size()));
    } else if (marker == kComment) {
      take_comment(text_of(payload), limit, metadata, warnings);
    }
  });
  more_xmp.merge(limit, metadata, warnings);
  if (is_photoshop_too_large) {
    add_warning(warnings, "the IPTC is larger than limits.metadata and is not kept");
  } else if (!photoshop.empty()) {
    metadata.iptc = iptc_from_photoshop(photoshop);
  }
  if (fits_limit(icc.size, limit, "ICC", warnings)) icc.assemble(metadata.icc, warnings);
}

std::vector<JpegSegment> jpeg_segments_of(const Metadata& blocks, std::string& warnings) {
  std::vector<JpegSegment> segments;
  const auto add = [&](int marker, std::string_view name, ByteSpan block, std::string_view title) {
    if (block.empty()) return;
    if (name.size() + block.size() > kLargestPayload) {
      add_warning(warnings, fmt::format("the {} of {} bytes does not fit a JPEG and is not kept", title, block.size()));
      return;
    }
    segments.push_back({marker, with_name(name, block)});
  };
  add(kApp + 1, kExif, blocks.exif, "EXIF");
  add_xmp(blocks.xmp, segments, warnings);
  add_iptc(blocks.iptc, segments);
  add_icc(blocks.icc, segments, warnings);
  add(kComment, {}, bytes_of(blocks.comment), "comment");
  for (const auto& [keyword, text] : blocks.texts) {
    if (keyword == kCommentKeyword) add(kComment, {}, bytes_of(text), "comment");
  }
  return segments;
}

}  // namespace retouchd::image
