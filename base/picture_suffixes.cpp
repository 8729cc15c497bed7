#include "base/picture_suffixes.h"

#include <algorithm>
#include <string>
#include <system_error>

namespace retouchd {
namespace {

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lower;
}

/// One suffix for all of a format: "TIFF" -> ".tif".
std::string usual(std::string_view suffix) {
  const std::string lower = lower_case(suffix);
  if (lower == ".jpeg" || lower == ".jpe" || lower == ".jfif") return ".jpg";
  return lower == ".tiff" ? ".tif" : lower;
}

/// Whether beside `source` lies a picture of the same stem whose result ends in `suffix`.
bool has_twin(const std::filesystem::path& source, std::string_view suffix, Renamed renamed) {
  std::error_code ignored;
  const std::string own = usual(source.extension().native());
  for (const std::string_view each : kPictureSuffixes) {
    if (usual(each) == own || (renamed == Renamed::kThis && usual(each) != suffix)) continue;
    std::string capitals(each);
    std::transform(capitals.begin(), capitals.end(), capitals.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    for (const std::string& spelled : {std::string(each), capitals}) {
      if (std::filesystem::exists(source.parent_path() / (source.stem().string() + spelled), ignored)) return true;
    }
  }
  return false;
}

}  // namespace

bool has_picture_suffix(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  return std::find(kPictureSuffixes.begin(), kPictureSuffixes.end(), lower_case(name.substr(dot))) != kPictureSuffixes.end();
}

std::filesystem::path with_suffix(const std::filesystem::path& wanted, std::string_view suffix,
                                  const std::filesystem::path& source, Renamed renamed) {
  if (usual(wanted.extension().native()) == suffix) return wanted;
  std::filesystem::path path = wanted;
  if (has_picture_suffix(wanted.filename().native()) && !has_twin(source, suffix, renamed)) return path.replace_extension(suffix);
  path += suffix;
  return path;
}

}  // namespace retouchd
