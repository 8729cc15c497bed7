#include "image/signature.h"

#include <algorithm>
#include <array>

namespace retouchd::image {
namespace {

using namespace std::string_view_literals;

struct Known {
  std::size_t offset;
  std::string_view bytes;
  std::string_view looks_like;
};

constexpr std::array kOurs{
    std::pair{FileFormat::kJpeg, "\xFF\xD8\xFF"sv}, std::pair{FileFormat::kPng, "\x89PNG\r\n\x1A\n"sv},
    std::pair{FileFormat::kTiff, "II*\0"sv},        std::pair{FileFormat::kTiff, "MM\0*"sv},
    std::pair{FileFormat::kTiff, "II+\0"sv},  // BigTIFF
    std::pair{FileFormat::kTiff, "MM\0+"sv},
};

// Camera raw files that pretend to be TIFF come first; of two entries that both match, the first one speaks.
constexpr std::array kOthers{
    Known{8, "CR\x02"sv, "a Canon CR2 camera raw picture"},
    Known{0, "IIRO"sv, "an Olympus camera raw picture"},
    Known{0, "IIRS"sv, "an Olympus camera raw picture"},
    Known{0, "IIU\0"sv, "a Panasonic camera raw picture"},
    Known{0, "FUJIFILM"sv, "a Fujifilm camera raw picture"},
    Known{0, "GIF8"sv, "a GIF picture"},
    Known{0, "%PDF"sv, "a PDF document"},
    Known{0, "%!PS"sv, "a PostScript document"},
    Known{4, "ftypheic"sv, "a HEIC picture"},
    Known{4, "ftypheix"sv, "a HEIC picture"},
    Known{4, "ftypheim"sv, "a HEIC picture"},
    Known{4, "ftypheis"sv, "a HEIC picture"},
    Known{4, "ftyphevc"sv, "a HEIC picture sequence"},
    Known{4, "ftypmif1"sv, "a HEIF picture"},
    Known{4, "ftypmsf1"sv, "a HEIF picture sequence"},
    Known{4, "ftypavi"sv, "an AVIF picture"},
    Known{4, "ftypcrx"sv, "a Canon CR3 camera raw picture"},
    Known{4, "ftyp"sv, "a video (MP4 or QuickTime)"},
    Known{0, "\0\0\0\x0CJXL "sv, "a JPEG XL picture"},
    Known{0, "\xFF\x0A"sv, "a JPEG XL picture"},
    Known{0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 picture"},
    Known{0, "\xFF\x4F\xFF\x51"sv, "a JPEG 2000 picture"},
    Known{0, "8BPS"sv, "a Photoshop document"},
    Known{0, "gimp xcf"sv, "a GIMP document"},
    Known{0, "\x76\x2F\x31\x01"sv, "an OpenEXR picture"},
    Known{0, "#?RADIANCE"sv, "a Radiance HDR picture"},
    Known{0, "qoif"sv, "a QOI picture"},
    Known{0, "DDS "sv, "a DDS texture"},
    Known{0, "BM"sv, "a BMP picture"},
    Known{0, "\0\0\1\0"sv, "a Windows icon"},
    Known{0, "P1\n"sv, "a PBM picture"},
    Known{0, "P2\n"sv, "a PGM picture"},
    Known{0, "P3\n"sv, "a PPM picture"},
    Known{0, "P4\n"sv, "a PBM picture"},
    Known{0, "P5\n"sv, "a PGM picture"},
    Known{0, "P6\n"sv, "a PPM picture"},
    Known{0, "<svg"sv, "an SVG drawing"},
    Known{0, "<?xml"sv, "an XML document"},
    Known{0, "<!DOCTYPE"sv, "an HTML page"},
    Known{0, "<html"sv, "an HTML page"},
    Known{0, "PK\x03\x04"sv, "a ZIP archive"},
    Known{0, "\x1F\x8B"sv, "a gzip archive"},
    Known{8, "AVI "sv, "an AVI video"},
    Known{8, "WAVE"sv, "a WAVE sound"},
    Known{0, "\x1A\x45\xDF\xA3"sv, "a Matroska or WebM video"},
    Known{0,
          "\x7F"
          "ELF"sv,
          "a program"},
};

bool matches(std::string_view data, std::size_t offset, std::string_view bytes) {
  return data.size() >= offset + bytes.size() && data.substr(offset, bytes.size()) == bytes;
}

}  // namespace

Signature signature_of(std::span<const std::uint8_t> data) noexcept {
  const std::string_view start(reinterpret_cast<const char*>(data.data()), std::min<std::size_t>(data.size(), 16));
  for (const Known& other : kOthers) {
    if (matches(start, other.offset, other.bytes)) return {{}, other.looks_like, false};
  }
  for (const auto& [format, bytes] : kOurs) {
    if (matches(start, 0, bytes)) return {format, {}, false};
    if (!start.empty() && start.size() < bytes.size() && bytes.starts_with(start)) return {{}, {}, true};
  }
  if (matches(start, 0, "RIFF") && matches(start, 8, "WEBP")) return {FileFormat::kWebp, {}, false};
  const bool is_cut_webp = !start.empty() && start.size() < 12 && "RIFF"sv.starts_with(start.substr(0, 4)) &&
                           (start.size() <= 8 || "WEBP"sv.starts_with(start.substr(8)));
  return {{}, {}, is_cut_webp};
}

}  // namespace retouchd::image
