#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "image/picture.h"

namespace retouchd::image {

/// What kind of file it is.
struct Signature {
  std::optional<FileFormat> format;  ///< set for those that we read
  std::string_view looks_like;       ///< "a PDF document", ...; empty when unknown or when `format` is set
  bool is_cut = false;               ///< so short that it may become one of ours
};

/// The first bytes tell, but for the camera raw files that look like TIFF: their directories are walked, 16 at most. Of those the
/// beginning alone may say that they are TIFF.
[[nodiscard]] Signature signature_of(std::span<const std::uint8_t> data) noexcept;

}  // namespace retouchd::image
