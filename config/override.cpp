#include "config/override.h"

#include <algorithm>
#include <vector>

#include "config/keys.h"
#include "config/suggestion.h"

namespace retouchd::config {

Result<void> override_key(Config& config, const std::string& key, const std::string& value, const Environment& environment) {
  const auto& keys = config_keys();
  const auto found = std::find_if(keys.begin(), keys.end(), [&key](const Key<Config>& entry) { return entry.path == key; });
  if (found == keys.end()) {
    std::vector<std::string> known;
    for (const Key<Config>& entry : keys) known.push_back(entry.path);
    const std::string meant = nearest(key, known);
    return make_error(ErrorCode::kBadConfig,
                      "there is no key `" + key + "`" + (meant.empty() ? "" : "; did you mean `" + meant + "`?"));
  }
  if (const auto refusal = found->set(config, {value}, environment))
    return make_error(ErrorCode::kBadConfig, "`" + key + "` is " + found->allowed + ", not `" + value + "`" +
                                                 (refusal->why.empty() ? "" : " (" + refusal->why + ")"));
  return {};
}

}  // namespace retouchd::config
