#include "image/exif_tags.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>

namespace retouchd::image {
namespace {

// Tags of IFD0 that describe how a TIFF file stores its pixels, or that hold what Metadata keeps apart (XMP, IPTC, ICC).
constexpr std::array<std::uint16_t, 58> kStructuralTags{
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117,
    0x0118, 0x0119, 0x011C, 0x011D, 0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0125, 0x0129, 0x012D, 0x013D, 0x0140, 0x0141,
    0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x014C, 0x0150, 0x0151, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015B, 0x0200,
    0x0201, 0x0202, 0x0203, 0x0207, 0x0208, 0x0209, 0x0211, 0x0212, 0x0213, 0x02BC, 0x83BB, 0x8649, 0x8773};
constexpr std::uint16_t kPhotoshopLayers = 0x935C;

bool is_structural(const Exiv2::Exifdatum& tag) {
  const std::string group = tag.groupName();
  if (group.starts_with("SubImage") || group.starts_with("SubThumb") || group == "Thumbnail" || group == "Image2" ||
      group == "Image3") {
    return true;
  }
  return group == "Image" && (tag.tag() == kPhotoshopLayers ||
                              std::find(kStructuralTags.begin(), kStructuralTags.end(), tag.tag()) != kStructuralTags.end());
}

}  // namespace

void prepare_exiv2() {
  static std::once_flag once;
  std::call_once(once, [] { Exiv2::LogMsg::setLevel(Exiv2::LogMsg::mute); });
}

XmpSession::XmpSession() {
  static std::mutex only_one;
  lock_ = std::unique_lock(only_one);
  prepare_exiv2();
  Exiv2::XmpParser::terminate();
  Exiv2::XmpParser::initialize();
}

void erase_structural(Exiv2::ExifData& tags) {
  for (auto tag = tags.begin(); tag != tags.end();) tag = is_structural(*tag) ? tags.erase(tag) : std::next(tag);
}

Exiv2::ExifData decode_exif(ByteSpan block, Exiv2::ByteOrder& order) {
  prepare_exiv2();
  Exiv2::ExifData tags;
  order = Exiv2::ExifParser::decode(tags, block.data(), static_cast<std::uint32_t>(block.size()));
  if (order == Exiv2::invalidByteOrder) throw std::runtime_error("it has no TIFF header");
  return tags;
}

}  // namespace retouchd::image
