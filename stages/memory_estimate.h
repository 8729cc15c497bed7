#pragma once

#include <optional>

#include "base/units.h"
#include "image/picture.h"
#include "inference/network_info.h"

namespace retouchd::stages {

/// The most that one picture holds at any moment between decode and encode, in this process and in the one that reads and writes
/// its file; its tiles on the device are not included (the device's batch is bounded and measured at start), nor is the file,
/// which is mapped and not held. What counts is the largest of three moments:
///
///   decode: planes + the larger of the decoder's own memory (header.working) and the planes again, while they are turned upright
///   infer:  planes + canvas [+ the colours again, where alpha hides some of them]
///   encode: restored planes + their copy for the process that writes them + the encoder's own buffers
///
/// Planes that two processes share count once. A network that wants sRGB adds the planes in the file's own colours to the first
/// and the last. For 8-bit RGB of P pixels without alpha and a network of finite receptive field and scale 1, all three are near
/// 6 P: for 300 MP 1.8 GB, twice the planes.
///
///   bytes per pixel        decode              infer                    encode
///   8-bit RGB TIFF         3 + 3               3 + 3                    3 + 3 + rows
///   the same, feathered    3 + 3               3 + 3 + 12 (sums)        3 + 3 + rows
///   progressive JPEG       3 + 6 (4:4:4)       3 + 3                    3 + 3 + rows
///   16-bit RGB to AVIF     6 + 6               6 + 6                    6 + 6 + the encoder's
///
/// `output`: the format of the result where it is known to be another than the picture's.
[[nodiscard]] Bytes estimate_memory(const image::PictureHeader& header, const inference::NetworkInfo& network,
                                    std::optional<image::FileFormat> output = std::nullopt);

}  // namespace retouchd::stages
