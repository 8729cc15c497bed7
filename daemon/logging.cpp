#include "daemon/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/systemd_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>

namespace retouchd::daemon {

void set_up_logging() {
  if (std::getenv("JOURNAL_STREAM") != nullptr) {  // NOLINT(concurrency-mt-unsafe): before any thread
    spdlog::set_default_logger(spdlog::systemd_logger_mt("retouchd"));
    spdlog::set_pattern("%v");
  } else {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("retouchd"));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  }
}

void apply_log_level(const config::Log& log) {
  switch (log.level) {
    case config::Log::Level::kDebug:
      spdlog::set_level(spdlog::level::debug);
      return;
    case config::Log::Level::kInfo:
      spdlog::set_level(spdlog::level::info);
      return;
    case config::Log::Level::kWarning:
      spdlog::set_level(spdlog::level::warn);
      return;
    case config::Log::Level::kError:
      spdlog::set_level(spdlog::level::err);
      return;
  }
}

}  // namespace retouchd::daemon
