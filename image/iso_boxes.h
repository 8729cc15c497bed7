#pragma once

#include "image/metadata.h"

/// The boxes (ISO/IEC 14496-12) that AVIF, HEIC and JPEG XL files are made of.
namespace retouchd::image {

/// One of the boxes of the file says that it reaches beyond the file's end.
[[nodiscard]] bool is_cut_between_boxes(ByteSpan file) noexcept;

/// The same of a HEIF file (AVIF, HEIC), which also ends too early before the boxes that describe its pictures, or within the
/// eight bytes that a box begins with.
[[nodiscard]] bool is_cut_heif(ByteSpan file) noexcept;

/// All HEVC pictures of a HEIF file are without colour. libheif does not tell before they are decoded.
[[nodiscard]] bool has_only_gray_hevc(ByteSpan file) noexcept;

/// A picture of a HEIF file is made of pictures that are made of it (libheif 1.15 would follow that until the stack ends), or of
/// others in more steps than any camera's.
[[nodiscard]] bool has_endless_derivation(ByteSpan file);

/// The TIFF structure in an Exif item: behind its four bytes of offset, and behind "Exif\0\0" where a writer left that. Empty
/// when there is none.
[[nodiscard]] ByteSpan tiff_in_exif_item(ByteSpan item) noexcept;

/// `exif` behind four bytes of offset.
[[nodiscard]] ByteVector exif_item_of(ByteSpan exif);

}  // namespace retouchd::image
