#pragma once

#include "base/units.h"
#include "image/picture.h"
#include "inference/network_info.h"

namespace retouchd::stages {

/// The most that one picture holds at any moment between decode and encode, its tiles on the device not included (the device's
/// batch is bounded and measured at start). What counts is the largest of three moments:
///
///   decode: file + planes + coefficients of a progressive JPEG + a second copy while it is turned upright
///   infer:  planes + canvas
///   encode: restored planes + the encoder's own buffers + the finished file
[[nodiscard]] Bytes estimate_memory(const image::PictureHeader& header, Bytes file, const inference::NetworkInfo& network);

}  // namespace retouchd::stages
