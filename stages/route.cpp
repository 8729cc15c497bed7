#include "stages/route.h"

namespace retouchd::stages {

Result<void> Route::process(const RunPtr& run) {
  run->route = "local";
  return {};
}

}  // namespace retouchd::stages
