#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "inference/weights/pickle.h"

namespace retouchd::inference {

/// The tensors of a checkpoint by name: out of their wrappers (`params`, `state_dict`, ...), without the prefixes that all share,
/// and without what is no tensor. Throws MalformedWeights telling what is there instead, or that a name is given twice or is no
/// UTF-8.
[[nodiscard]] std::map<std::string, ValueId> find_state_dict(const PickleTree& tree);

/// A call that makes a tensor: kRebuildTensor, or kRebuildParameter around one. nullptr for anything else.
[[nodiscard]] const PickleValue* as_tensor(const PickleTree& tree, ValueId id);

/// Takes off prefixes that training tools put before every name, as long as all names share one.
template <class Value>
std::map<std::string, Value> without_common_prefix(std::map<std::string, Value> named) {
  constexpr std::array<std::string_view, 2> kPrefixes{"module.", "netG."};
  for (bool again = !named.empty(); again;) {
    again = false;
    for (const std::string_view prefix : kPrefixes) {
      // Names are sorted, and longer than the prefix: none may end up empty.
      const auto all = [prefix](const auto& item) { return item.first.size() > prefix.size() && item.first.starts_with(prefix); };
      if (!std::all_of(named.begin(), named.end(), all)) continue;
      std::map<std::string, Value> shorter;
      for (auto& [name, value] : named) shorter.emplace_hint(shorter.end(), name.substr(prefix.size()), std::move(value));
      named = std::move(shorter);
      again = true;
    }
  }
  return named;
}

}  // namespace retouchd::inference
