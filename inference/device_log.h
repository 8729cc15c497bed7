#pragma once

#include <string>

namespace retouchd::inference {

// The log, for files that see LibTorch: it brings headers of another fmt, which must not meet the logger's.

void log_of_device(const std::string& sentence);
void warn_of_device(const std::string& sentence);

}  // namespace retouchd::inference
