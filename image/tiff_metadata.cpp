#include "image/tiff_metadata.h"

#include <exiv2/exiv2.hpp>
#include <new>
#include <stdexcept>
#include <utility>

#include "image/exif_tags.h"
#include "image/output_file.h"
#include "image/tiff_stream.h"

namespace retouchd::image {
namespace {

/// A gray TIFF of 1x1, with the tags that a reader needs.
ByteVector one_pixel() {
  MemoryFile file;
  TiffStream stream(file, TiffStream::Mode::kNew);
  TIFF* tiff = stream.get();
  if (tiff == nullptr) throw std::bad_alloc();
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 1);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 1);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 1);
  std::uint8_t pixel = 0;
  if (TIFFWriteEncodedStrip(tiff, 0, &pixel, 1) != 1 || !stream.finish()) throw std::bad_alloc();
  return file.take();
}

/// Whether libtiff takes all tags of `file` into a directory of its own. Better known now than behind gigabytes of pixels.
bool can_be_updated(const ByteVector& file) {
  MemoryFile copy;
  if (!copy.append(file)) throw std::bad_alloc();
  TiffStream stream(copy, TiffStream::Mode::kUpdate);
  return stream.get() != nullptr && TIFFRewriteDirectory(stream.get()) == 1 && stream.finish();
}

/// Exiv2 writes EXIF as JPEG can hold it, and leaves out the largest tags beyond that.
void warn_of_missing(const ByteVector& block, const Exiv2::ExifData& wanted, std::string& warnings) {
  constexpr long kNearLimit = 60'000;
  long bytes = 0;
  for (const Exiv2::Exifdatum& tag : wanted) bytes += tag.size();
  if (bytes < kNearLimit) return;
  Exiv2::ByteOrder order = Exiv2::littleEndian;
  const Exiv2::ExifData tags = decode_exif(block, order);
  std::string missing;
  for (const Exiv2::Exifdatum& tag : wanted) {
    if (tags.findKey(Exiv2::ExifKey(tag.key())) != tags.end()) continue;
    missing += missing.empty() ? "" : ", ";
    missing += tag.key();
  }
  constexpr std::size_t kReadable = 200;
  if (!missing.empty()) add_warning(warnings, "the EXIF is larger than 64 KiB; not kept are: " + missing.substr(0, kReadable));
}

}  // namespace

void read_tiff_metadata(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings) {
  or_warn("EXIF of the TIFF", warnings, [&] {
    const XmpSession session;
    const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(file.data(), static_cast<long>(file.size()));
    image->readMetadata();
    erase_structural(image->exifData());
    if (!image->exifData().empty()) {
      Exiv2::Blob blob;
      Exiv2::ExifParser::encode(blob, image->byteOrder(), image->exifData());
      warn_of_missing(blob, image->exifData(), warnings);
      if (fits_limit(blob.size(), limit, "EXIF", warnings)) metadata.exif = std::move(blob);
    }
    if (!image->iptcData().empty()) {
      const Exiv2::DataBuf records = Exiv2::IptcParser::encode(image->iptcData());
      const auto size = static_cast<std::size_t>(records.size_);
      if (fits_limit(size, limit, "IPTC", warnings)) metadata.iptc.assign(records.pData_, records.pData_ + size);
    }
  });
}

ByteVector make_metadata_tiff(const Metadata& blocks, std::string& warnings) {
  ByteVector made;
  or_warn("EXIF for the TIFF", warnings, [&] {
    const XmpSession session;
    const ByteVector pixel = one_pixel();
    const Exiv2::Image::AutoPtr image = Exiv2::ImageFactory::open(pixel.data(), static_cast<long>(pixel.size()));
    image->readMetadata();
    image->writeXmpFromPacket(true);  // there is none: libtiff writes it
    if (!blocks.exif.empty()) {
      Exiv2::ByteOrder order = Exiv2::littleEndian;
      Exiv2::ExifData tags = decode_exif(blocks.exif, order);
      erase_structural(tags);
      for (const Exiv2::Exifdatum& tag : tags) {
        if (tag.count() > 0) image->exifData().add(Exiv2::ExifKey(tag.key()), &tag.value());  // libtiff writes none of nothing
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
    if (!can_be_updated(written)) throw std::runtime_error("libtiff cannot write it again");
    made = std::move(written);
  });
  return made;
}

}  // namespace retouchd::image
