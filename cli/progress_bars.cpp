#include "cli/progress_bars.h"

#include <fmt/format.h>

#include <algorithm>

namespace retouchd::cli {
namespace {

constexpr std::size_t kWidth = 24;
constexpr std::size_t kLabel = 32;

std::string bar(std::int64_t done, std::int64_t total) {
  const double share = total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 0.0;
  const auto full = static_cast<std::size_t>(share * kWidth);
  return fmt::format("[{}{}] {:>3.0f} %", std::string(full, '#'), std::string(kWidth - full, '.'), 100 * share);
}

/// The end of a path tells more than its beginning. Control characters would break the terminal.
std::string shortened(std::string label) {
  std::replace_if(
      label.begin(), label.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  if (label.size() <= kLabel) return label;
  std::size_t from = label.size() - kLabel + 3;
  while (from < label.size() && (static_cast<unsigned char>(label[from]) & 0xC0U) == 0x80U) ++from;  // not inside a UTF-8 letter
  return "..." + label.substr(from);
}

}  // namespace

void ProgressBars::update(std::int64_t job, const std::string& label, const std::string& stage, std::int64_t done,
                          std::int64_t total) {
  running_[job] = {shortened(label), stage, done, total};
}

std::string ProgressBars::draw(std::size_t finished, std::size_t all) const {
  std::string text;
  std::size_t shown = 0;
  for (const auto& [job, one] : running_) {
    if (shown++ == kShown) break;
    text += fmt::format("{:<32}  {}  {}\n", one.label, bar(one.done, one.total), one.stage);
  }
  if (all > 1) {
    text += fmt::format("{:<32}  {}\n", fmt::format("{} of {} pictures", finished, all),
                        bar(static_cast<std::int64_t>(finished), static_cast<std::int64_t>(all)));
  }
  return text;
}

}  // namespace retouchd::cli
