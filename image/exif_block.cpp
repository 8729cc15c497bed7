#include "image/exif_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exiv2/exiv2.hpp>
#include <set>

#include "image/exif_tags.h"
#include "image/orientation.h"
#include "image/thumbnail.h"

namespace retouchd::image {
namespace {

constexpr int kUsualThumbnail = 160;    // EXIF: 160x120
constexpr int kLargestThumbnail = 320;  // beside 64 KiB of everything
constexpr std::size_t kNearLimit = 60'000;
constexpr long kInch = 2;
constexpr long kCentimetre = 3;

bool has(const Exiv2::ExifData& tags, const char* key) { return tags.findKey(Exiv2::ExifKey(key)) != tags.end(); }

/// The tag's number, or `otherwise` where there is none.
long number_of(const Exiv2::ExifData& tags, const char* key, long otherwise) {
  const auto found = tags.findKey(Exiv2::ExifKey(key));
  return found == tags.end() || found->count() == 0 ? otherwise : found->toLong();
}

int orientation_of(const Exiv2::ExifData& tags) {
  const long value = number_of(tags, "Exif.Image.Orientation", 1);
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

/// Swaps the values of two tags, or renames the one that is there.
void swap_values(Exiv2::ExifData& tags, const char* one, const char* other) {
  const auto a = tags.findKey(Exiv2::ExifKey(one));
  const auto b = tags.findKey(Exiv2::ExifKey(other));
  if (a == tags.end() || b == tags.end()) return;
  const Exiv2::Value::AutoPtr kept = a->getValue();
  a->setValue(&b->value());
  b->setValue(kept.get());
}

/// The longer side of the thumbnail; 0 when there is none.
int thumbnail_side(const Exiv2::ExifData& tags) {
  const Exiv2::ExifThumbC thumbnail(tags);
  if (*thumbnail.mimeType() == '\0') return 0;
  const Exiv2::DataBuf jpeg = thumbnail.copy();
  const long from_tags =
      std::max(number_of(tags, "Exif.Thumbnail.ImageWidth", 0), number_of(tags, "Exif.Thumbnail.ImageLength", 0));
  const int from_jpeg = longest_side_of_jpeg({jpeg.pData_, static_cast<std::size_t>(jpeg.size_)});
  const long side = from_jpeg > 0 ? from_jpeg : from_tags;
  return side <= 0 ? kUsualThumbnail : static_cast<int>(std::min<long>(side, kLargestThumbnail));
}

bool is_standard(const std::string& group) {
  return group == "Image" || group == "Photo" || group == "GPSInfo" || group == "Iop" || group == "MakerNote";
}

void erase_makers_previews(Exiv2::ExifData& tags) {
  for (auto tag = tags.begin(); tag != tags.end();) {
    const std::string group = tag->groupName();
    const std::string name = tag->tagName();
    const bool is_preview = !is_standard(group) && (group.find("Preview") != std::string::npos || name.starts_with("Preview") ||
                                                    name.starts_with("ThumbnailImage") || name.starts_with("ThumbnailLength") ||
                                                    name.starts_with("ThumbnailOffset") || name == "Thumbnail");
    tag = is_preview ? tags.erase(tag) : std::next(tag);
  }
}

/// The structural tags that EXIF 2.3 wants beside compressed pixels, too; set only where they were.
void erase_what_describes_old_pixels(Exiv2::ExifData& tags, int width, int height) {
  const bool has_size = has(tags, "Exif.Image.ImageWidth");
  const long positioning = number_of(tags, "Exif.Image.YCbCrPositioning", 0);
  erase_structural(tags);
  erase_makers_previews(tags);
  const auto set = [&](const char* key, int value) { tags[key] = static_cast<std::uint32_t>(value); };
  if (has_size) {
    set("Exif.Image.ImageWidth", width);
    set("Exif.Image.ImageLength", height);
  }
  if (positioning > 0) tags["Exif.Image.YCbCrPositioning"] = static_cast<std::uint16_t>(positioning);
  if (has(tags, "Exif.Photo.PixelXDimension")) set("Exif.Photo.PixelXDimension", width);
  if (has(tags, "Exif.Photo.PixelYDimension")) set("Exif.Photo.PixelYDimension", height);
  if (has(tags, "Exif.Image.Orientation")) tags["Exif.Image.Orientation"] = std::uint16_t{1};
}

ByteVector written(ByteSpan block, Exiv2::ByteOrder order, const Exiv2::ExifData& tags) {
  // Where nothing changes its size Exiv2 writes into the old block, which leaves maker notes that it does not know where they
  // are.
  ByteVector in_place(block.begin(), block.end());
  Exiv2::Blob blob;
  const Exiv2::WriteMethod method =
      Exiv2::ExifParser::encode(blob, in_place.data(), static_cast<std::uint32_t>(in_place.size()), order, tags);
  return method == Exiv2::wmNonIntrusive ? in_place : blob;
}

void warn_of_missing(const ByteVector& block, const Exiv2::ExifData& wanted, std::string& warnings) {
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  const Exiv2::ExifData tags = decode_exif(block, order);
  std::set<std::string> present;
  for (const Exiv2::Exifdatum& tag : tags) present.insert(tag.key());
  std::string missing;
  for (const Exiv2::Exifdatum& tag : wanted) {
    if (present.contains(tag.key())) continue;
    if (!missing.empty()) missing += ", ";
    missing += tag.key();
  }
  if (!missing.empty()) {
    add_warning(warnings, fmt::format("the EXIF is larger than 64 KiB; of it is not kept: {}", missing.substr(0, 200)));
  }
}

}  // namespace

Result<int> read_orientation(ByteSpan exif) {
  try {
    Exiv2::ByteOrder order = Exiv2::littleEndian;
    return orientation_of(decode_exif(exif, order));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& thrown) {
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the EXIF cannot be read and is not kept: {}", thrown.what()));
  }
}

bool is_resolution(double dpi) noexcept {
  constexpr double kLeast = 0.1;
  constexpr double kMost = 100'000;
  return dpi >= kLeast && dpi <= kMost;  // false for NaN
}

std::optional<Resolution> resolution_in(ByteSpan exif) {
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  const Exiv2::ExifData tags = decode_exif(exif, order);
  const auto x = tags.findKey(Exiv2::ExifKey("Exif.Image.XResolution"));
  const auto y = tags.findKey(Exiv2::ExifKey("Exif.Image.YResolution"));
  const long unit = number_of(tags, "Exif.Image.ResolutionUnit", kInch);
  if (x == tags.end() || y == tags.end() || x->count() == 0 || y->count() == 0) return {};
  if (unit != kInch && unit != kCentimetre) return {};
  const double per_inch = unit == kCentimetre ? 2.54 : 1.0;
  const Resolution found{x->toFloat() * per_inch, y->toFloat() * per_inch};
  if (!is_resolution(found.x) || !is_resolution(found.y)) return {};
  return found;
}

ByteVector exif_of(const Resolution& resolution) {
  prepare_exiv2();
  constexpr double kMost = 1e6;
  const auto hundredths = [kMost](double dpi) {
    const auto value = static_cast<std::uint32_t>(std::lround(std::clamp(dpi, 0.01, kMost) * 100));
    return Exiv2::URational(value % 100 == 0 ? value / 100 : value, value % 100 == 0 ? 1 : 100);
  };
  Exiv2::ExifData tags;
  tags["Exif.Image.XResolution"] = hundredths(resolution.x);
  tags["Exif.Image.YResolution"] = hundredths(resolution.y);
  tags["Exif.Image.ResolutionUnit"] = static_cast<std::uint16_t>(kInch);
  Exiv2::Blob blob;
  Exiv2::ExifParser::encode(blob, Exiv2::littleEndian, tags);
  return blob;
}

ByteVector prepare_exif(ByteSpan block, const Picture& picture, bool has_room_for_thumbnail, std::string& warnings) {
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  Exiv2::ExifData tags = decode_exif(block, order);
  const int old_thumbnail = thumbnail_side(tags);
  if (swaps_sides(orientation_of(tags))) {
    swap_values(tags, "Exif.Image.XResolution", "Exif.Image.YResolution");
    swap_values(tags, "Exif.Photo.FocalPlaneXResolution", "Exif.Photo.FocalPlaneYResolution");
  }
  erase_what_describes_old_pixels(tags, picture.width(), picture.height());
  if (tags.empty()) return {};
  const ByteVector thumbnail =
      old_thumbnail > 0 && has_room_for_thumbnail ? make_thumbnail(picture, old_thumbnail) : ByteVector{};
  if (!thumbnail.empty()) {
    constexpr std::uint16_t kAsScreens = 72;
    Exiv2::ExifThumb(tags).setJpegThumbnail(thumbnail.data(), static_cast<long>(thumbnail.size()), {kAsScreens, 1},
                                            {kAsScreens, 1}, static_cast<std::uint16_t>(kInch));
  }
  ByteVector prepared = written(block, order, tags);
  if (block.size() + thumbnail.size() > kNearLimit) warn_of_missing(prepared, tags, warnings);
  return prepared;
}

}  // namespace retouchd::image
