#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace retouchd::cli {

/// One picture to submit.
struct Input {
  std::filesystem::path source;    ///< absolute
  std::filesystem::path relative;  ///< below the folder that was named; the file name when the file itself was named
};

struct Inputs {
  std::vector<Input> pictures;
  std::vector<Error> missing;  ///< one for each argument that names nothing
  bool has_folder = false;
};

/// Files as they are; folders with every picture below them (by suffix; hidden ones, depth pictures "*.depth.png" and, with
/// `beside` (no output folder), earlier results "*_restored.*" left out), sorted; patterns (* ? [) that name no file themselves
/// as the shell would. Relative ones belong to `current`.
[[nodiscard]] Inputs find_inputs(const std::vector<std::string>& arguments, const std::filesystem::path& current, bool beside);

/// Where each result goes, absolute and in the order of `inputs`; all empty (the daemon's default) when `output` is empty.
/// `output` is a folder when it ends in '/', is one, or when there is a folder or more than one picture; else it is the result
/// itself. kInvalidRequest when two pictures would get the same result.
[[nodiscard]] Result<std::vector<std::string>> plan_outputs(const Inputs& inputs, const std::string& output,
                                                            const std::filesystem::path& current);

}  // namespace retouchd::cli
