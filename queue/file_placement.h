#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "base/file.h"
#include "base/result.h"
#include "queue/job.h"

namespace retouchd::queue {

/// The folder beside a target that holds files which are not complete yet; removed when empty.
inline constexpr const char* kTemporaryFolder = ".retouchd-tmp";

/// `.retouchd-tmp/<process>.<job>.<epoch>` beside `target`. The process keeps two daemons that write to one folder apart.
[[nodiscard]] std::filesystem::path temporary_for(const std::filesystem::path& target, JobId job, std::int64_t epoch);
/// A name beside `target` that no other call gets.
[[nodiscard]] std::filesystem::path unique_temporary_for(const std::filesystem::path& target);

/// Makes the target's folders and the temporary's, then the empty file. On failure nothing is left.
[[nodiscard]] Result<UniqueFd> make_temporary(const std::filesystem::path& temporary);
/// The same with content, fsynced.
[[nodiscard]] Result<void> write_temporary(const std::filesystem::path& temporary, std::span<const std::uint8_t> data);

/// Removes the file, when it is there, and its folder, when it is empty.
void remove_temporary(const std::filesystem::path& temporary) noexcept;

/// Removes the temporaries below `folder` whose process is gone, and their folder when that empties it. To be called at the
/// start, before this process writes any: its own number counts as gone, since in a container every process is number 1.
void remove_abandoned(const std::filesystem::path& folder) noexcept;

enum class Existing {
  kKeep,     ///< a file at the target is left alone: kOutputExists
  kReplace,  ///< it is replaced
};

/// Renames a complete, fsynced temporary to its target and makes that durable.
[[nodiscard]] Result<void> place_file(const std::filesystem::path& temporary, const std::filesystem::path& target,
                                      Existing existing);

}  // namespace retouchd::queue
