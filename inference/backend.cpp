#include "inference/backend.h"

#include <algorithm>
#include <array>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr std::array<std::pair<Backend, std::string_view>, 4> kNames{
    {{Backend::kAuto, "auto"}, {Backend::kOptimized, "optimized"}, {Backend::kCompiled, "compiled"}, {Backend::kFused, "fused"}}};

}  // namespace

std::string_view name_of(Backend backend) noexcept {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == backend; })->second;
}

std::optional<Backend> backend_named(std::string_view name) noexcept {
  const auto* found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.second == name; });
  if (found == kNames.end()) return std::nullopt;
  return found->first;
}

}  // namespace retouchd::inference
