#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/result.h"
#include "image/file_codec.h"
#include "image/picture.h"
#include "inference/network_info.h"

namespace retouchd::stages {

/// Where the second picture of a pair lies: `room.png` goes with `room.depth.png`, `scan.jpg` with `scan.right.jpg`. Empty where
/// the network takes single pictures.
[[nodiscard]] std::filesystem::path companion_path(const std::filesystem::path& source, inference::Companion companion);

/// The second picture of a pair, fitted to the first.
struct CompanionPicture {
  image::Picture picture;
  FileIdentity identity;  ///< of the file that was read
};

/// Reads the second picture of the pair whose first one, upright already, came from `source`. Depth is a 16-bit gray picture of
/// millimetres; where it is smaller or larger in proportion, each pixel takes the nearest distance, as a mean of two would lie in
/// the air between an object and its background. Pairs of which only one carries an EXIF orientation are refused unless their
/// sides tell that both are upright. kInputMissing, kInvalidRequest when the two do not fit together, and what reading a picture
/// can say.
[[nodiscard]] Result<CompanionPicture> read_companion(image::FileCodec& codec, const std::filesystem::path& source,
                                                      const image::Picture& first, inference::Companion companion,
                                                      const image::DecodeLimits& limits, Bytes file_limit);

/// Where depth goes when `wanted` was asked for: a name that would be the colour picture's ("room.png", "room_restored.png")
/// becomes "room.depth.png", "room_restored.depth.png"; any other stays.
[[nodiscard]] std::filesystem::path depth_output(const std::filesystem::path& source, const std::filesystem::path& wanted);

}  // namespace retouchd::stages
