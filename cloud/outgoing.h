#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/units.h"
#include "config/config.h"
#include "image/file_codec.h"

namespace retouchd::cloud {

/// What is sent of one picture, in a file of ours.
struct Parcel {
  std::filesystem::path file;
  Bytes size;
  std::string sha256;
  std::string name;  ///< for the node, "picture.png" or "picture.jpg": its suffix asks for the format of the result
  double megapixels = 0;
  int turn = 1;  ///< EXIF orientation that the node does not see, 1..8: what comes back must be turned so
};

struct Packing {
  bool strip_metadata = true;
  config::Cloud::Answer answer = config::Cloud::Answer::kExact;
  image::DecodeLimits limits;
  Bytes file_size = mebibytes(512);
  int png_level = 3;
};

/// Packs the picture at `source` into `to`, which need not survive a crash: the same source makes the same bytes again.
///
/// strip_metadata: a JPEG keeps every coefficient and loses every segment that its pixels do not need (strip_jpeg); other formats
/// are sent as PNG of their colour, upright, at their depth: without alpha, what it hides, metadata and profile. Otherwise the
/// file as it is. Never its name.
///
/// Errors: kInputMissing, kInputUnreadable, kInputEmpty, kInputChanged (not the file that was accepted, by `accepted`),
/// kPictureTooLarge, the decoder's, and those of writing. Never throws. Threads: safe.
[[nodiscard]] Result<Parcel> pack(image::FileCodec& codec, const std::filesystem::path& source, const FileIdentity& accepted,
                                  const std::filesystem::path& to, const Packing& packing);

/// A JPEG file without APPn and COM segments but what tells its colours (JFIF without its thumbnail and density, Adobe's APP14),
/// and without what follows the end of the picture. It decodes to the same pixels, not turned. kTruncatedPicture,
/// kCorruptPicture.
[[nodiscard]] Result<std::vector<std::uint8_t>> strip_jpeg(std::span<const std::uint8_t> file);

}  // namespace retouchd::cloud
