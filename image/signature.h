#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "image/picture.h"

namespace retouchd::image {

/// What the first bytes of a file say.
struct Signature {
  std::optional<FileFormat> format;  ///< set for the four that we read
  std::string_view looks_like;       ///< "a PDF document", ...; empty when unknown or when `format` is set
  bool is_cut = false;               ///< so short that it may become one of ours
};

[[nodiscard]] Signature signature_of(std::span<const std::uint8_t> data) noexcept;

}  // namespace retouchd::image
