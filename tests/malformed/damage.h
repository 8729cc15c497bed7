#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "image/metadata.h"

namespace retouchd::malformed {

using Random = std::mt19937_64;

struct Damaged {
  image::ByteVector file;
  std::string how;  ///< "field", "cut", ...: the last of what was done
};

/// `file` damaged in one to four places, most of them inside its structure: numbers that mean something become zero, one more,
/// too large, the offset of something else; blocks are doubled, lost, exchanged or cut; bits flip, runs of bytes are overwritten.
/// The CRCs of a PNG are right again most of the time. The same state of `random` gives the same damage.
[[nodiscard]] Damaged damage(image::ByteSpan file, Random& random);

}  // namespace retouchd::malformed
