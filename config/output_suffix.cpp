#include "config/config.h"

namespace retouchd::config {

std::string_view Output::suffix() const noexcept {
  switch (format) {
    case Format::kSame:
      return "";
    case Format::kJpeg:
      return ".jpg";
    case Format::kPng:
      return ".png";
    case Format::kTiff:
      return ".tif";
    case Format::kWebp:
      return ".webp";
    case Format::kAvif:
      return ".avif";
    case Format::kJxl:
      return ".jxl";
  }
  return "";
}

}  // namespace retouchd::config
