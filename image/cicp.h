#pragma once

#include <string>

#include "image/metadata.h"

namespace retouchd::image {

/// Colours by the numbers of ITU-T H.273, as AVIF and HEIC state them where they carry no profile.
struct Cicp {
  int primaries = 2;  ///< 2: unspecified
  int transfer = 2;
};

/// The profile that says the same; empty for sRGB, for what counts as sRGB among pictures (BT.709, BT.601 and unspecified
/// transfer with BT.709's primaries) and, with a warning, for what is not known. HDR curves (PQ, HLG) become tables, with a
/// warning: viewers that know only profiles show such pictures dark. Threads: safe.
[[nodiscard]] ByteVector profile_of(const Cicp& cicp, bool is_gray, std::string& warnings);

/// The numbers in a profile that profile_of() or another program marked with them; unspecified without.
[[nodiscard]] Cicp cicp_of(ByteSpan icc);

}  // namespace retouchd::image
