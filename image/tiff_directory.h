#pragma once

#include <cstdint>
#include <vector>

#include "image/metadata.h"

/// The directories of a TIFF file as they lie there, seen without libtiff: counting them allocates nothing and ends on any input.
namespace retouchd::image {

struct TiffDirectory {
  bool is_page = true;             ///< false: a reduced version of another picture, or a transparency mask
  bool is_cut = false;             ///< it, or a value that it points to, lies beyond the end of the file
  std::uint64_t value_bytes = 0;   ///< of all values that stand apart, strip offsets and sizes not included
  std::uint64_t strile_bytes = 0;  ///< of strip or tile offsets and sizes
};

/// The chain that starts in the header: at least one directory, at most `most`. Ends before a directory that was there already.
[[nodiscard]] std::vector<TiffDirectory> read_tiff_directories(ByteSpan file, std::size_t most);

}  // namespace retouchd::image
