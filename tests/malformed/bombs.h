#pragma once

#include <string>
#include <vector>

#include "image/metadata.h"

namespace retouchd::malformed {

struct Bomb {
  std::string name;    ///< "png-60000x60000"
  std::string suffix;  ///< ".png"
  image::ByteVector file;
};

/// Small files that ask for very much: sides, pages, frames, scans, metadata. All but the last of `make_large_bombs` are below 1
/// MiB.
[[nodiscard]] std::vector<Bomb> make_bombs();

/// Those that are some megabytes themselves: 10,000 frames, a million directories, 100 MB of metadata.
[[nodiscard]] std::vector<Bomb> make_large_bombs();

/// What is no picture: empty, one byte, random bytes, text, other kinds of files with a picture's suffix.
[[nodiscard]] std::vector<Bomb> make_strangers();

}  // namespace retouchd::malformed
