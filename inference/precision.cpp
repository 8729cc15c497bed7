#include "inference/precision.h"

#include <algorithm>
#include <array>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr std::array<std::pair<Precision, std::string_view>, 6> kNames{{{Precision::kFp32, "fp32"},
                                                                        {Precision::kTf32, "tf32"},
                                                                        {Precision::kFp16, "fp16"},
                                                                        {Precision::kBf16, "bf16"},
                                                                        {Precision::kMixed, "mixed"},
                                                                        {Precision::kInt8, "int8"}}};

}  // namespace

std::string_view name_of(Precision precision) noexcept {
  return std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.first == precision; })->second;
}

std::optional<Precision> precision_named(std::string_view name) noexcept {
  const auto* found = std::find_if(kNames.begin(), kNames.end(), [&](const auto& entry) { return entry.second == name; });
  if (found == kNames.end()) return std::nullopt;
  return found->first;
}

double tolerance_of(Precision precision) noexcept {
  switch (precision) {
    case Precision::kFp32:
      return 1e-5;
    case Precision::kInt8:
      return 5e-3;
    case Precision::kTf32:
    case Precision::kFp16:
    case Precision::kBf16:
    case Precision::kMixed:
      break;
  }
  return 1e-3;
}

}  // namespace retouchd::inference
