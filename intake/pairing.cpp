#include "intake/pairing.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "base/picture_suffixes.h"
#include "intake/ignore_rules.h"

namespace retouchd::intake {
namespace {

std::string capitals(std::string_view text) {
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

}  // namespace

std::string Pairing::companion_of(const std::string& picture) const {
  return companion_of_ ? companion_of_(network_, picture).string() : std::string();
}

std::vector<std::string> Pairing::pictures_of(const std::string& companion) const {
  const std::filesystem::path path(companion);
  const std::filesystem::path marked = path.parent_path() / path.stem();  // "room.depth" of "room.depth.png"
  if (!companion_of_ || !marked.has_extension()) return {};
  std::set<std::string> suffixes{path.extension().string()};
  for (const std::string_view suffix : kPictureSuffixes) {
    suffixes.emplace(suffix);
    suffixes.insert(capitals(suffix));
  }
  std::vector<std::string> pictures;
  for (const std::string& suffix : suffixes) {
    std::filesystem::path picture = marked;
    picture.replace_extension(suffix);
    if (companion_of(picture.string()) == companion) pictures.push_back(picture.string());
  }
  return pictures;
}

}  // namespace retouchd::intake
