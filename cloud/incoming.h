#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "cloud/outgoing.h"
#include "image/file_codec.h"

namespace retouchd::cloud {

/// What the node says its result is.
struct Announced {
  Bytes size;
  std::string sha256;
};

/// Checks what came back (the complete file `part`) against what was sent, turns it upright and puts it durably at `to` plus
/// ".png" or ".jpg", which is returned. `part` stays.
///
/// The node is not trusted. Refused with kCloudFailed: another size or hash than announced, anything but PNG and JPEG, sides that
/// are not those of the sent picture times one whole number of 1..8, more than `limits` allow, other channels, one flat colour
/// where the sent picture has something to show, another brightness (as a whole, or where light and dark are). What was sent must
/// be readable: its errors are kIoError and the decoder's. Writing has its own. Never throws. Threads: safe.
[[nodiscard]] Result<std::filesystem::path> accept_result(image::FileCodec& codec, const std::filesystem::path& part,
                                                          const Announced& announced, const Parcel& sent,
                                                          const std::filesystem::path& to, const image::DecodeLimits& limits);

}  // namespace retouchd::cloud
