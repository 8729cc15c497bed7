#include "intake/wire/timestamp.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace retouchd::wire {

std::string to_iso8601(UnixMillis time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto millis = static_cast<int>((time - seconds).count());
  const std::time_t whole = seconds.time_since_epoch().count();
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, millis);
  return text.data();
}

}  // namespace retouchd::wire
