#pragma once

#include <cstddef>

#include "base/error.h"

namespace retouchd::cli {

inline constexpr int kExitSomeFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitInterrupted = 130;

/// The exit code of a command that did several things: 0 when all went well, the code that all failures share, or 1.
class Outcome {
 public:
  void fail(ErrorCode code) { add(traits_of(code).exit_code); }
  void add(int exit_code);
  [[nodiscard]] int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_ = 0;
};

}  // namespace retouchd::cli
