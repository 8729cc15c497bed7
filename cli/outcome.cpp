#include "cli/outcome.h"

namespace retouchd::cli {

void Outcome::add(int exit_code) {
  if (exit_code == 0) return;
  exit_code_ = exit_code_ == 0 || exit_code_ == exit_code ? exit_code : kExitSomeFailed;
}

}  // namespace retouchd::cli
