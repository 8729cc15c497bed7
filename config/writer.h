#pragma once

#include <string>

#include "config/config.h"

namespace retouchd::config {

/// `config` as YAML that reads back as the same; for `retouch config` and the log.
[[nodiscard]] std::string to_yaml(const Config& config);

/// The file that is shipped as config/retouchd.example.yaml: every key with what it does and its default. The watch, which
/// has no default, is commented out: without the first '#' of each of its lines it is valid YAML.
[[nodiscard]] std::string example_config();

/// docs/configuration.md.
[[nodiscard]] std::string configuration_page();

}  // namespace retouchd::config
