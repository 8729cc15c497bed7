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
    case StarvedCause::kUpload:
      return "upload";
    case StarvedCause::kMerge:
      return "merge";
    case StarvedCause::kEncode:
      return "encode";
    case StarvedCause::kMemory:
      return "memory";
  }
  return "unknown";
}

std::string_view name_of(RerunReason reason) noexcept {
  switch (reason) {
    case RerunReason::kNotFinite:
      return "not_finite";
    case RerunReason::kRange:
      return "range";
    case RerunReason::kConstant:
      return "constant";
    case RerunReason::kOutOfMemory:
      return "out_of_memory";
    case RerunReason::kDeviceLost:
      return "device_lost";
  }
  return "unknown";
}

}  // namespace retouchd::stages
