#include "daemon/models_json.h"

#include <algorithm>

#include "stages/companion.h"

namespace retouchd::daemon {

nlohmann::json models_json(const Engine& engine, const std::string& chosen) {
  const auto contents = engine.networks->contents();
  const auto states = engine.devices->states();
  const inference::Device& device = *engine.devices->members().front()->device;
  nlohmann::json all = nlohmann::json::array();
  for (const inference::NetworkInfo& network : contents->networks) {
    const auto state = states.find(network.id());
    const bool is_loaded = state != states.end();
    all.push_back({{"name", network.name},
                   {"default", network.name == chosen},
                   {"architecture", network.architecture},
                   {"variant", network.variant},
                   {"task", network.task},
                   {"license", network.license},
                   {"scale", network.scale},
                   {"companion", inference::name_of(network.companion)},
                   {"parameters", network.parameters},
                   {"size", network.file_size.value},
                   {"precision", inference::name_of(device.precision_for(network).precision)},
                   {"backend", is_loaded ? device.backend_for(network).name : ""},
                   {"backend_reason", device.backend_for(network).reason},
                   {"state", !is_loaded              ? "not_loaded"
                             : state->second.empty() ? "valid"
                                                     : "refused"},
                   {"reason", is_loaded ? state->second : ""},
                   {"file", network.weights.string()},
                   {"sha256", network.sha256}});
  }
  for (const auto& refused : contents->refused) {
    all.push_back({{"name", refused.file.stem().string()},
                   {"default", false},
                   {"state", "refused"},
                   {"reason", refused.reason},
                   {"file", refused.file.string()}});
  }
  return all;
}

std::filesystem::path companion_of(const inference::Registry& networks, const std::string& network,
                                   const std::filesystem::path& picture) {
  const auto contents = networks.contents();
  const auto found = std::find_if(contents->networks.begin(), contents->networks.end(),
                                  [&](const inference::NetworkInfo& known) { return known.name == network; });
  return found == contents->networks.end() ? std::filesystem::path() : stages::companion_path(picture, found->companion);
}

}  // namespace retouchd::daemon
