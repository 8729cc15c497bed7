#include "config/suggestion.h"

#include "base/nearest_name.h"

namespace retouchd::config {

std::string nearest(std::string_view word, std::span<const std::string> known) {
  constexpr std::size_t kLongest = 64;  // nobody mistypes longer words into ours
  if (word.size() > kLongest) return {};
  std::size_t least = (word.size() + 2) / 3 + 1;
  std::string best;
  for (const std::string& candidate : known) {
    if (const std::size_t distance = edit_distance(word, candidate); distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace retouchd::config
