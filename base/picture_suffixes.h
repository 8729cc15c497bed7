#pragma once

#include <array>
#include <filesystem>
#include <string_view>

namespace retouchd {

/// The suffixes of picture files that are read. What a file holds is decided by its content; its name only says that it is worth
/// a look.
inline constexpr std::array<std::string_view, 32> kPictureSuffixes{
    ".jpg", ".jpeg", ".jpe",  ".jfif",                                             // JPEG
    ".png", ".tif",  ".tiff", ".webp", ".avif", ".heic", ".heif", ".jxl",          //
    ".ppm", ".pgm",  ".pbm",  ".pnm",                                              //
    ".dng", ".cr2",  ".cr3",  ".nef",  ".nrw",  ".arw",  ".orf",  ".raf", ".rw2",  // camera raw
    ".pef", ".srw",  ".3fr",  ".iiq",  ".erf",  ".mrw",  ".kdc"};

/// True for those suffixes, in any case.
[[nodiscard]] bool has_picture_suffix(std::string_view name);

/// Whose results get a new suffix.
enum class Renamed {
  kThis,  ///< this picture's, since its own format cannot be written
  kAll,   ///< those of all pictures
};

/// `wanted` with another suffix (".tif"): "a.nef" -> "a.tif". Where a picture lies beside `source` whose result has that name
/// ("a.tif" itself; with kAll "a.jpg" as well), "a.nef.tif": the two must not replace each other. A name without a picture's
/// suffix keeps all of itself, and one that means the format already is left alone ("a.jpeg" for ".jpg").
[[nodiscard]] std::filesystem::path with_suffix(const std::filesystem::path& wanted, std::string_view suffix,
                                                const std::filesystem::path& source, Renamed renamed);

}  // namespace retouchd
