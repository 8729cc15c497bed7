// Exiv2 works on the blocks here and nowhere else. Its XMP toolkit must be initialised by one thread and given a lock.

#include "image/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <exiv2/exiv2.hpp>
#include <mutex>
#include <utility>

namespace retouchd::image {
namespace {

// Tags of IFD0 that describe how a TIFF file stores its pixels, or that hold what Metadata keeps apart (XMP, IPTC, ICC).
constexpr std::array<std::uint16_t, 58> kStructuralTags{
    0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A, 0x0111, 0x0115, 0x0116, 0x0117,
    0x0118, 0x0119, 0x011C, 0x011D, 0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0125, 0x0129, 0x012D, 0x013D, 0x0140, 0x0141,
    0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x014C, 0x0150, 0x0151, 0x0152, 0x0153, 0x0154, 0x0155, 0x0156, 0x015B, 0x0200,
    0x0201, 0x0202, 0x0203, 0x0207, 0x0208, 0x0209, 0x0211, 0x0212, 0x0213, 0x02BC, 0x83BB, 0x8649, 0x8773};
constexpr std::uint16_t kPhotoshopLayers = 0x935C;

void prepare_exiv2() {
  static std::once_flag once;
  std::call_once(once, [] {
    static std::recursive_mutex xmp_mutex;
    Exiv2::LogMsg::setLevel(Exiv2::LogMsg::mute);
    Exiv2::XmpParser::initialize(
        [](void* mutex, bool lock) {
          auto* xmp = static_cast<std::recursive_mutex*>(mutex);
          lock ? xmp->lock() : xmp->unlock();
        },
        &xmp_mutex);
  });
}

bool is_structural(const Exiv2::Exifdatum& tag) {
  const std::string group = tag.groupName();
  if (group.starts_with("SubImage") || group.starts_with("SubThumb") || group == "Thumbnail" || group == "Image2" ||
      group == "Image3") {
    return true;
  }
  return group == "Image" && (tag.tag() == kPhotoshopLayers ||
                              std::find(kStructuralTags.begin(), kStructuralTags.end(), tag.tag()) != kStructuralTags.end());
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

int orientation_of(const Exiv2::ExifData& tags) {
  const auto found = tags.findKey(Exiv2::ExifKey("Exif.Image.Orientation"));
  if (found == tags.end() || found->count() == 0) return 1;
  const auto value = found->toLong();
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

void swap_resolutions(Exiv2::ExifData& tags) {
  const auto x = tags.findKey(Exiv2::ExifKey("Exif.Image.XResolution"));
  const auto y = tags.findKey(Exiv2::ExifKey("Exif.Image.YResolution"));
  if (x == tags.end() || y == tags.end()) return;
  const Exiv2::Value::AutoPtr old_x = x->getValue();
  x->setValue(&y->value());
  y->setValue(old_x.get());
}

/// Both resolutions in dots per inch, where the tags have them.
std::optional<std::pair<double, double>> dpi_of(const Exiv2::ExifData& tags) {
  const auto x = tags.findKey(Exiv2::ExifKey("Exif.Image.XResolution"));
  const auto y = tags.findKey(Exiv2::ExifKey("Exif.Image.YResolution"));
  const auto unit = tags.findKey(Exiv2::ExifKey("Exif.Image.ResolutionUnit"));
  constexpr long kInch = 2;
  constexpr long kCentimetre = 3;
  const long in = unit == tags.end() || unit->count() == 0 ? kInch : unit->toLong();
  if (x == tags.end() || y == tags.end() || x->count() == 0 || y->count() == 0 || (in != kInch && in != kCentimetre)) return {};
  const double per_inch = in == kCentimetre ? 2.54 : 1.0;
  const std::pair<double, double> dpi{x->toFloat() * per_inch, y->toFloat() * per_inch};
  if (!std::isfinite(dpi.first) || !std::isfinite(dpi.second) || dpi.first <= 0.0 || dpi.second <= 0.0) return {};
  return dpi;
}

ByteVector prepare_exif(ByteSpan block, int width, int height) {
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  Exiv2::ExifData tags = decode_exif(block, order);
  const int orientation = orientation_of(tags);
  const bool has_size = tags.findKey(Exiv2::ExifKey("Exif.Image.ImageWidth")) != tags.end();
  Exiv2::ExifThumb(tags).erase();
  erase_structural(tags);
  if (tags.empty()) return {};
  if (orientation >= 5) swap_resolutions(tags);
  tags["Exif.Image.Orientation"] = std::uint16_t{1};
  tags["Exif.Photo.PixelXDimension"] = static_cast<std::uint32_t>(width);
  tags["Exif.Photo.PixelYDimension"] = static_cast<std::uint32_t>(height);
  if (has_size) {
    tags["Exif.Image.ImageWidth"] = static_cast<std::uint32_t>(width);
    tags["Exif.Image.ImageLength"] = static_cast<std::uint32_t>(height);
  }
  Exiv2::Blob blob;
  Exiv2::ExifParser::encode(blob, order, tags);
  return blob;
}

/// TIFF keeps the resolution among its own tags, which embed_in_tiff() leaves alone.
void take_dpi_from_exif(Metadata& metadata) {
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  const std::optional<std::pair<double, double>> dpi = dpi_of(decode_exif(metadata.exif, order));
  if (!dpi) return;
  metadata.dpi_x = dpi->first;
  metadata.dpi_y = dpi->second;
}

std::string prepare_xmp(const std::string& packet, int width, int height) {
  prepare_exiv2();
  Exiv2::XmpData properties;
  if (Exiv2::XmpParser::decode(properties, packet) != 0) throw std::runtime_error("the XML is not XMP");
  bool is_changed = false;
  for (auto property = properties.begin(); property != properties.end();) {
    const std::string key = property->key();
    // A thumbnail shows the old pixels; the extended part, which stood apart, is not kept.
    if (key.starts_with("Xmp.xmp.Thumbnails") || key == "Xmp.xmpNote.HasExtendedXMP") {
      property = properties.erase(property);
      is_changed = true;
      continue;
    }
    const auto set = [&](const std::string& value) {
      if (property->toString() == value) return;
      property->setValue(value);
      is_changed = true;
    };
    if (key == "Xmp.tiff.Orientation") set("1");
    if (key == "Xmp.tiff.ImageWidth" || key == "Xmp.exif.PixelXDimension") set(std::to_string(width));
    if (key == "Xmp.tiff.ImageLength" || key == "Xmp.exif.PixelYDimension") set(std::to_string(height));
    ++property;
  }
  if (!is_changed) return packet;
  std::string prepared;
  if (properties.empty()) return prepared;
  if (Exiv2::XmpParser::encode(prepared, properties, Exiv2::XmpParser::useCompactFormat) != 0) {
    throw std::runtime_error("Exiv2 could not write it again");
  }
  return prepared;
}

bool icc_fits(ByteSpan icc, int channels) {
  constexpr std::size_t kHeader = 128;
  constexpr std::size_t kColourSpace = 16;
  if (icc.size() < kHeader) return false;
  const std::string_view space(reinterpret_cast<const char*>(icc.data()) + kColourSpace, 4);
  return space == (channels == 1 ? "GRAY" : "RGB ");
}

/// Runs `work`; what Exiv2 throws becomes a warning about `block`.
template <class Work>
void or_warn(std::string_view block, std::string& warnings, Work&& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& thrown) {
    add_warning(warnings, fmt::format("the {} cannot be read and is not kept: {}", block, thrown.what()));
  }
}

std::uint32_t big_endian(ByteSpan bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value = value << 8 | bytes[at + i];
  return value;
}

constexpr std::array<std::uint8_t, 4> kResource{'8', 'B', 'I', 'M'};
constexpr std::uint32_t kIptcResource = 0x0404;

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

void read_tiff_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  or_warn("EXIF of the TIFF", warnings, [&] {
    prepare_exiv2();
    const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
    image->readMetadata();
    erase_structural(image->exifData());
    if (!image->exifData().empty()) {
      Exiv2::Blob blob;
      Exiv2::ExifParser::encode(blob, image->byteOrder(), image->exifData());
      if (fits_limit(blob.size(), limit, "EXIF", warnings)) metadata.exif = std::move(blob);
    }
    if (!image->iptcData().empty()) {
      const Exiv2::DataBuf records = Exiv2::IptcParser::encode(image->iptcData());
      const auto size = static_cast<std::size_t>(records.size_);
      if (fits_limit(size, limit, "IPTC", warnings)) metadata.iptc.assign(records.pData_, records.pData_ + size);
    }
  });
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

Metadata prepare_for(const Metadata& metadata, FileFormat format, int width, int height, int channels, std::string& warnings) {
  Metadata prepared;
  if (!metadata.exif.empty()) {
    or_warn("EXIF", warnings, [&] { prepared.exif = prepare_exif(metadata.exif, width, height); });
  }
  if (!metadata.xmp.empty()) {
    or_warn("XMP", warnings, [&] { prepared.xmp = prepare_xmp(metadata.xmp, width, height); });
  }
  prepared.iptc = metadata.iptc;
  if (!metadata.icc.empty()) {
    if (icc_fits(metadata.icc, channels)) {
      prepared.icc = metadata.icc;
    } else {
      add_warning(warnings, "the ICC profile does not describe these pixels and is not kept");
    }
  }
  prepared.dpi_x = metadata.dpi_x;
  prepared.dpi_y = metadata.dpi_y;
  if (format == FileFormat::kTiff && !prepared.dpi_x && !prepared.exif.empty()) take_dpi_from_exif(prepared);
  if (format == FileFormat::kPng) {
    prepared.gamma = metadata.gamma;
    prepared.chromaticities = metadata.chromaticities;
    prepared.srgb_intent = metadata.srgb_intent;
  }
  return prepared;
}

void embed_in_tiff(ByteVector& file, const Metadata& blocks, std::string& warnings) {
  or_warn("EXIF for the TIFF", warnings, [&] {
    prepare_exiv2();
    const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
    image->readMetadata();
    image->writeXmpFromPacket(true);
    if (!blocks.exif.empty()) {
      Exiv2::ByteOrder order = Exiv2::littleEndian;
      Exiv2::ExifData tags = decode_exif(blocks.exif, order);
      erase_structural(tags);
      for (const Exiv2::Exifdatum& tag : tags) {
        const Exiv2::ExifKey key(tag.key());
        const auto present = image->exifData().findKey(key);
        if (present == image->exifData().end()) {
          image->exifData().add(key, &tag.value());
        } else {
          present->setValue(&tag.value());
        }
      }
    }
    if (!blocks.iptc.empty() &&
        Exiv2::IptcParser::decode(image->iptcData(), blocks.iptc.data(), static_cast<std::uint32_t>(blocks.iptc.size())) != 0) {
      add_warning(warnings, "the IPTC cannot be read and is not kept");
    }
    image->writeMetadata();
    Exiv2::BasicIo& io = image->io();
    ByteVector written(io.size());
    if (io.open() != 0 || io.read(written.data(), static_cast<long>(written.size())) != static_cast<long>(written.size())) {
      throw std::runtime_error("Exiv2 gave back less than it wrote");
    }
    file = std::move(written);
  });
}

}  // namespace retouchd::image
