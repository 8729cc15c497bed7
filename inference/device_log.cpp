#include "inference/device_log.h"

#include <spdlog/spdlog.h>

namespace retouchd::inference {

void log_of_device(const std::string& sentence) { spdlog::info("{}", sentence); }
void warn_of_device(const std::string& sentence) { spdlog::warn("{}", sentence); }

}  // namespace retouchd::inference
