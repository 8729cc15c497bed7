// The EXIF of camera raw files: TIFF structures of their makers, which Exiv2 knows.

#include <algorithm>
#include <exiv2/exiv2.hpp>

#include "image/exif_tags.h"

namespace retouchd::image {
namespace {

/// Tags of IFD0 that describe how sensors see, how the raw pixels are stored, or that hold a whole picture.
bool describes_raw(std::uint16_t tag) {
  constexpr std::uint16_t kCfaFirst = 0x828D;  // CFARepeatPatternDim
  constexpr std::uint16_t kCfaLast = 0x828E;   // CFAPattern
  constexpr std::uint16_t kTiffEpFirst = 0x9211;
  constexpr std::uint16_t kTiffEpLast = 0x9217;  // SensingMethod
  constexpr std::uint16_t kRawFirst = 0xC5D8;    // of Canon, then those of DNG
  constexpr std::uint16_t kRawLast = 0xC7FF;
  constexpr std::uint16_t kDngSerialNumber = 0xC62F;
  constexpr std::uint16_t kDngLensInfo = 0xC630;
  if (tag == kDngSerialNumber || tag == kDngLensInfo) return false;
  return tag == kCfaFirst || tag == kCfaLast || (tag >= kTiffEpFirst && tag <= kTiffEpLast) ||
         (tag >= kRawFirst && tag <= kRawLast);
}

bool is_of_raw(const Exiv2::Exifdatum& tag) {
  const std::string group = tag.groupName();
  const std::string name = tag.tagName();
  if (group == "Image") return describes_raw(tag.tag());
  if (group == "Photo") return name == "CFAPattern";
  if (group == "GPSInfo" || group == "Iop") return false;
  return group.starts_with("PanasonicRaw") || group.find("Preview") != std::string::npos ||
         name.find("Preview") != std::string::npos || name.find("Thumbnail") != std::string::npos ||
         name == "LinearizationTable" || name == "RawImageCenter";
}

}  // namespace

void read_raw_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  or_warn("EXIF of the raw file", warnings, [&] {
    const XmpSession session;
    const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
    image->readMetadata();
    Exiv2::ExifData& tags = image->exifData();
    erase_structural(tags);
    for (auto tag = tags.begin(); tag != tags.end();) tag = is_of_raw(*tag) ? tags.erase(tag) : std::next(tag);
    if (!tags.empty()) {
      const Exiv2::ByteOrder order = image->byteOrder() == Exiv2::invalidByteOrder ? Exiv2::littleEndian : image->byteOrder();
      Exiv2::Blob blob;
      Exiv2::ExifParser::encode(blob, order, tags);
      if (fits_limit(blob.size(), limit, "EXIF", warnings)) metadata.exif = std::move(blob);
    }
    std::string xmp = image->xmpPacket();
    if (xmp.empty() && !image->xmpData().empty()) Exiv2::XmpParser::encode(xmp, image->xmpData());
    if (!xmp.empty() && fits_limit(xmp.size(), limit, "XMP", warnings)) metadata.xmp = xmp;
    if (!image->iptcData().empty()) {
      const Exiv2::DataBuf records = Exiv2::IptcParser::encode(image->iptcData());
      const auto size = static_cast<std::size_t>(records.size_);
      if (fits_limit(size, limit, "IPTC", warnings)) metadata.iptc.assign(records.pData_, records.pData_ + size);
    }
  });
}

}  // namespace retouchd::image
