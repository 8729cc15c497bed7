#pragma once

#include <filesystem>

#include "base/result.h"
#include "config/config.h"

namespace retouchd::daemon {

/// Writes `before` and `after` next to each other, with a thin line between, as one JPEG at `output` (replaced when it exists).
/// Pictures of different sizes are brought to the height of `after`; each half has at most two megapixels.
[[nodiscard]] Result<void> write_side_by_side(const config::Config& config, const std::filesystem::path& before,
                                              const std::filesystem::path& after, const std::filesystem::path& output);

}  // namespace retouchd::daemon
