#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace retouchd::config {

/// The configuration in `file` with conf.d/*.yaml beside it merged over it in the order of names: later values win, `watch` lists
/// append, other lists replace. The result is complete: paths absolute, defaults filled in, `memory` resolved.
///
/// kBadConfig with one line per error, all errors of all files, in their order: "file:line:column: message", both counted from 1.
[[nodiscard]] Result<Config> read_config(const std::filesystem::path& file, const Environment& environment);

/// The same of one text that stands in for a file called `name`; an empty text gives the defaults, checked.
[[nodiscard]] Result<Config> read_config_text(std::string_view text, std::string_view name, const Environment& environment);

/// What holds where nothing is configured. Not checked: read_config_text("", ...) also looks at the length of socket paths.
[[nodiscard]] Config default_config(const Environment& environment);

/// What a program does at start: reads `chosen` (--config) or, without one, find_config_file(), or else gives the checked
/// defaults.
[[nodiscard]] Result<Config> load_config(const std::optional<std::filesystem::path>& chosen, const Environment& environment);

}  // namespace retouchd::config
