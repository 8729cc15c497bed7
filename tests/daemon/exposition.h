#pragma once

#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace retouchd::daemon {

/// The text of /metrics taken apart. Written for the text our serializer makes, without spaces inside label values.
class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("# TYPE ")) {
        std::istringstream words(line.substr(7));
        std::string name, type;
        words >> name >> type;
        types_[name] = type;
      } else if (!line.starts_with('#')) {
        const auto space = line.rfind(' ');
        if (space != std::string::npos) values_[line.substr(0, space)] = std::strtod(line.c_str() + space, nullptr);
      }
    }
  }

  /// Of the series exactly as written, such as `retouchd_jobs{state="queued"}`; not a number when it is not there.
  [[nodiscard]] double operator[](const std::string& series) const {
    const auto found = values_.find(series);
    return found != values_.end() ? found->second : std::numeric_limits<double>::quiet_NaN();
  }
  [[nodiscard]] bool has(const std::string& series) const { return values_.contains(series); }
  [[nodiscard]] const std::map<std::string, std::string>& types() const { return types_; }
  [[nodiscard]] const std::map<std::string, double>& values() const { return values_; }

 private:
  std::map<std::string, std::string> types_;
  std::map<std::string, double> values_;
};

}  // namespace retouchd::daemon
