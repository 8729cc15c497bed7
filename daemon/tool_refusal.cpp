#include "daemon/tool_refusal.h"

#include <fmt/core.h>

#include <cstdio>

namespace retouchd::daemon {

int refuse(const Error& error) {
  fmt::print(stderr, "retouch: {}\n  {}\n", error.message, error.remedy());
  return traits_of(error.code).exit_code;
}

}  // namespace retouchd::daemon
