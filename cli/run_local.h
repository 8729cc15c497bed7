#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/console.h"

namespace retouchd::cli {

/// The words of `retouchd --run ...` for `retouch run ...` (and likewise for the other commands that need networks but no
/// daemon), the program first.
[[nodiscard]] std::vector<std::string> daemon_words(const Arguments& arguments, const std::string& program);

/// Where `retouchd` is: beside `own` (this program), in ../daemon/ as in the build tree, or left to PATH.
[[nodiscard]] std::string find_daemon(const std::filesystem::path& own);

/// Becomes `retouchd --run`, or `retouchd plan`, `retouchd validate`, ... with the words that the user typed; returns only when
/// that failed.
[[nodiscard]] int run_local(const Arguments& arguments, Console& console);

}  // namespace retouchd::cli
