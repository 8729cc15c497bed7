// Feeds arbitrary blocks to everything that reads or rewrites metadata. The first byte chooses the block. Beyond "no crash": what
// prepare_for() makes of a block can be written into every format, and says there is nothing to turn.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "image/codec.h"
#include "image/jpeg_segments.h"
#include "image/metadata.h"
#include "image/png_text.h"
#include "image/tiff_metadata.h"

namespace {

using namespace retouchd;
using namespace retouchd::image;

constexpr Bytes kLimit = mebibytes(1);

void expect(bool holds) {
  if (!holds) std::abort();
}

enum class Block { kExif, kXmp, kIptc, kIcc, kComment, kText, kJpeg, kPng, kTiff, kPhotoshop, kCount };

Metadata metadata_of(Block block, ByteSpan bytes) {
  const std::string text(bytes.begin(), bytes.end());
  Metadata metadata;
  std::string warnings;
  switch (block) {
    case Block::kExif:
      metadata.exif.assign(bytes.begin(), bytes.end());
      break;
    case Block::kXmp:
      metadata.xmp = text;
      break;
    case Block::kIptc:
      metadata.iptc.assign(bytes.begin(), bytes.end());
      break;
    case Block::kIcc:
      metadata.icc.assign(bytes.begin(), bytes.end());
      break;
    case Block::kComment:
      metadata.comment = text;
      break;
    case Block::kText:
      metadata.texts.emplace_back(text.substr(0, text.size() / 3), text.substr(text.size() / 3));
      break;
    case Block::kJpeg:
      read_jpeg_segments(bytes, kLimit, metadata, warnings);
      break;
    case Block::kPng:
      read_png_text(bytes, kLimit, metadata, warnings);
      break;
    case Block::kTiff:
      read_tiff_metadata(bytes, kLimit, metadata, warnings);
      break;
    case Block::kPhotoshop:
      metadata.iptc = iptc_from_photoshop(bytes);
      if (!metadata.iptc.empty()) expect(!photoshop_from_iptc(metadata.iptc).empty());
      break;
    case Block::kCount:
      break;
  }
  return metadata;
}

Picture small_picture(int type) {
  Picture picture;
  picture.colour = cv::Mat(12, 16, type, cv::Scalar::all(100));
  picture.provenance = {{"Software", "retouchd"}};
  return picture;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto block = static_cast<Block>(data[0] % static_cast<int>(Block::kCount));
  const Metadata metadata = metadata_of(block, {data + 1, size - 1});
  const auto orientation = read_orientation(metadata.exif);
  if (orientation) expect(*orientation >= 1 && *orientation <= 8);
  if (!orientation) expect(orientation.error().code == ErrorCode::kCorruptPicture && !orientation.error().message.empty());

  Picture picture = small_picture(data[0] % 2 == 0 ? CV_8UC3 : CV_8UC1);
  picture.metadata = std::make_shared<const Metadata>(metadata);
  for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp, FileFormat::kAvif,
                                  FileFormat::kJxl, FileFormat::kPnm}) {
    std::string warnings;
    const Metadata prepared = prepare_for(metadata, format, picture, picture.colour.channels(), warnings);
    if (!prepared.exif.empty()) {
      const auto turned = read_orientation(prepared.exif);
      expect(turned.ok() && *turned == 1);
    }
    // A whole file of one format in turn, since codecs are slow.
    if (static_cast<std::size_t>(format) != size % 9) continue;
    const auto file = encode(picture, format, {});
    expect(file.ok());
    const auto read = decode(*file, {});
    expect(read.ok() && read->colour.size() == picture.colour.size());
  }
  return 0;
}
