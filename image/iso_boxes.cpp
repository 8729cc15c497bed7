#include "image/iso_boxes.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace retouchd::image {
namespace {

std::uint64_t big_endian(ByteSpan bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

struct Box {
  std::string_view type;
  ByteSpan content;  ///< what of it there is
  bool is_cut = false;
  ByteSpan rest;  ///< behind it
};

/// The first box of `bytes`; nothing where there is none.
std::optional<Box> first_box(ByteSpan bytes) noexcept {
  if (bytes.size() < 8) return {};
  Box box;
  box.type = {reinterpret_cast<const char*>(bytes.data()) + 4, 4};
  std::uint64_t size = big_endian(bytes.first(4));
  std::size_t header = 8;
  if (size == 1) {
    if (bytes.size() < 16) return {};
    size = big_endian(bytes.subspan(8, 8));
    header = 16;
  } else if (size == 0) {
    size = bytes.size();
  }
  if (size < header) return {};
  box.is_cut = size > bytes.size();
  const std::size_t present = box.is_cut ? bytes.size() : static_cast<std::size_t>(size);
  box.content = bytes.subspan(header, present - header);
  box.rest = bytes.subspan(present);
  return box;
}

/// Something else may lie behind the last box, whose name is then none.
bool has_name(const Box& box) noexcept {
  return std::all_of(box.type.begin(), box.type.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

ByteSpan child(ByteSpan boxes, std::string_view type) noexcept {
  for (auto box = first_box(boxes); box; box = first_box(box->rest)) {
    if (box->type == type) return box->content;
  }
  return {};
}

}  // namespace

bool is_cut_between_boxes(ByteSpan file) noexcept {
  ByteSpan rest = file;
  for (auto box = first_box(file); box && has_name(*box); box = first_box(rest)) {
    if (box->is_cut) return true;
    rest = box->rest;
  }
  return false;
}

bool is_cut_heif(ByteSpan file) noexcept {
  ByteSpan rest = file;
  bool has_description = false;
  for (auto box = first_box(file); box; box = first_box(rest)) {
    if (!has_name(*box)) return false;
    if (box->is_cut) return true;
    has_description = has_description || box->type == "meta" || box->type == "moov";
    rest = box->rest;
  }
  return !has_description || !rest.empty();
}

bool has_only_gray_hevc(ByteSpan file) noexcept {
  constexpr std::size_t kFullBox = 4;        // version and flags
  constexpr std::size_t kChromaFormat = 16;  // in an hvcC
  const ByteSpan meta = child(file, "meta");
  if (meta.size() < kFullBox) return false;
  const ByteSpan properties = child(child(meta.subspan(kFullBox), "iprp"), "ipco");
  bool is_gray = false;
  for (auto box = first_box(properties); box; box = first_box(box->rest)) {
    if (box->type != "hvcC" || box->content.size() <= kChromaFormat) continue;
    is_gray = (box->content[kChromaFormat] & 3) == 0;
    if (!is_gray) return false;
  }
  return is_gray;
}

bool has_endless_derivation(ByteSpan file) {
  constexpr std::size_t kFullBox = 4;
  constexpr int kMostSteps = 8;
  const ByteSpan meta = child(file, "meta");
  const ByteSpan references = meta.size() < kFullBox ? ByteSpan() : child(meta.subspan(kFullBox), "iref");
  if (references.size() < kFullBox) return false;
  const std::size_t width = references[0] == 0 ? 2 : 4;  // of an item's number
  std::map<std::uint64_t, std::vector<std::uint64_t>> made_of;
  for (auto box = first_box(references.subspan(kFullBox)); box; box = first_box(box->rest)) {
    const ByteSpan content = box->content;
    if (box->type != "dimg" || content.size() < width + 2) continue;
    auto& parts = made_of[big_endian(content.first(width))];
    for (std::size_t at = width + 2; at + width <= content.size(); at += width) {
      parts.push_back(big_endian(content.subspan(at, width)));
    }
  }
  // Each round forgets the items that are made of finished ones only; what is left after the last round is too deep, or endless.
  for (int step = 0; step < kMostSteps && !made_of.empty(); ++step) {
    std::vector<std::uint64_t> finished;
    for (const auto& [item, parts] : made_of) {
      if (std::none_of(parts.begin(), parts.end(), [&](std::uint64_t part) { return made_of.contains(part); })) {
        finished.push_back(item);
      }
    }
    for (const std::uint64_t item : finished) made_of.erase(item);
  }
  return !made_of.empty();
}

ByteSpan tiff_in_exif_item(ByteSpan item) noexcept {
  const auto is_tiff = [](ByteSpan bytes) {
    constexpr std::array<std::uint8_t, 4> kLittle{'I', 'I', '*', 0};
    constexpr std::array<std::uint8_t, 4> kBig{'M', 'M', 0, '*'};
    return bytes.size() >= 8 &&
           (std::equal(kLittle.begin(), kLittle.end(), bytes.begin()) || std::equal(kBig.begin(), kBig.end(), bytes.begin()));
  };
  if (is_tiff(item)) return item;  // a writer forgot the offset, or a library took it away
  if (item.size() < 4) return {};
  const std::uint64_t offset = big_endian(item.first(4));
  ByteSpan rest = item.subspan(4);
  if (offset < rest.size() && is_tiff(rest.subspan(static_cast<std::size_t>(offset)))) {
    return rest.subspan(static_cast<std::size_t>(offset));
  }
  // The offset is wrong in many files.
  constexpr std::size_t kFarEnough = 16;
  for (std::size_t at = 0; at < kFarEnough && at < item.size(); ++at) {
    if (is_tiff(item.subspan(at))) return item.subspan(at);
  }
  return {};
}

ByteVector exif_item_of(ByteSpan exif) {
  ByteVector item(4 + exif.size());
  std::copy(exif.begin(), exif.end(), item.begin() + 4);
  return item;
}

}  // namespace retouchd::image
