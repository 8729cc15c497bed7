#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace retouchd::cli {

/// The bars at the bottom of a terminal: one for each of a few running jobs, and one for all jobs. Confined to one thread.
class ProgressBars {
 public:
  static constexpr std::size_t kShown = 6;

  void update(std::int64_t job, const std::string& label, const std::string& stage, std::int64_t done, std::int64_t total);
  void remove(std::int64_t job) { running_.erase(job); }

  /// The text, each line ended; `finished` of `all` jobs are through (`all` 0: not known, no line for it).
  [[nodiscard]] std::string draw(std::size_t finished, std::size_t all) const;

 private:
  struct Bar {
    std::string label;
    std::string stage;
    std::int64_t done = 0;
    std::int64_t total = 0;
  };
  std::map<std::int64_t, Bar> running_;
};

}  // namespace retouchd::cli
