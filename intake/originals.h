#pragma once

#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/result.h"

// What may become of an original once its result is safe. Both act on the very version that was restored: they take the file out
// of the way first and look at it then, and put it back when somebody replaced it meanwhile (kInputChanged).
//
// Threads: safe. Blocks while a file is copied to another file system.
namespace retouchd::intake {

/// Moves `relative` from below `root` to the same place below `move_to` and returns its new path. A file that stands there stays:
/// the newcomer becomes "a.2.jpg", "a.3.jpg", ... Durable on return; a crash leaves the original in one place or in both.
/// `new_name`, unless empty, is what to call it there.
[[nodiscard]] Result<std::filesystem::path> move_original(const std::filesystem::path& root, const std::string& relative,
                                                          const FileIdentity& restored, const std::filesystem::path& move_to,
                                                          const std::string& new_name = {});

/// Deletes `relative` below `root`.
[[nodiscard]] Result<void> delete_original(const std::filesystem::path& root, const std::string& relative,
                                           const FileIdentity& restored);

}  // namespace retouchd::intake
