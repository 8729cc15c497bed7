#include "inference/network_info.h"

namespace retouchd::inference {

std::string_view name_of(Companion companion) noexcept {
  switch (companion) {
    case Companion::kDepth:
      return "depth";
    case Companion::kRightView:
      return "right";
    case Companion::kNone:
      break;
  }
  return "";
}

}  // namespace retouchd::inference
