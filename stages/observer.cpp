#include "stages/observer.h"

namespace retouchd::stages {

std::string_view name_of(StarvedCause cause) noexcept {
  switch (cause) {
    case StarvedCause::kNoWork:
      return "no_work";
    case StarvedCause::kDecode:
      return "decode";
    case StarvedCause::kPreview:
      return "preview";
    case StarvedCause::kMemory:
      return "memory";
    case StarvedCause::kMerge:
      return "merge";
  }
  return "unknown";
}

}  // namespace retouchd::stages
