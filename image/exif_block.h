#pragma once

#include <optional>
#include <string>
#include <utility>

#include "image/metadata.h"
#include "image/picture.h"

/// What becomes of an EXIF block beside restored pixels. Threads: all safe. What Exiv2 throws is passed on.
namespace retouchd::image {

struct Resolution {
  double x = 0.0;  ///< dots per inch
  double y = 0.0;
};

/// Dots per inch that a file may mean; beyond, it is damaged, and formats have no numbers for it.
[[nodiscard]] bool is_resolution(double dpi) noexcept;

/// That of the tags, where they have both in inches or centimetres.
[[nodiscard]] std::optional<Resolution> resolution_in(ByteSpan exif);

/// A block that says nothing but this.
[[nodiscard]] ByteVector exif_of(const Resolution& resolution);

/// `block` for the upright pixels of `picture`: orientation 1 and their size in the tags that were there, resolutions turned with
/// them. Where there was a thumbnail there is one of these pixels, if `has_room_for_thumbnail`; previews in maker notes are left
/// out, as they show the old ones. Exiv2 writes at most 64 KiB; what it leaves out for that is a warning.
[[nodiscard]] ByteVector prepare_exif(ByteSpan block, const Picture& picture, bool has_room_for_thumbnail, std::string& warnings);

}  // namespace retouchd::image
