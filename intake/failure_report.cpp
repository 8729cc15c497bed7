#include "intake/failure_report.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/file.h"
#include "queue/publisher.h"

namespace retouchd::intake {
namespace {

constexpr std::string_view kFirstLine = "retouchd could not restore this picture.\n";

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

/// A name that cannot break out of its line.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

/// One word for a shell.
std::string shell_word(std::string_view text) {
  const bool escapes = has_control_characters(text);
  std::string word = escapes ? "$'" : "'";
  for (const char c : text) {
    if (c == '\'') {
      word += escapes ? "\\'" : "'\\''";
    } else if (c == '\\' && escapes) {
      word += "\\\\";
    } else {
      word += escapes ? one_line({&c, 1}) : std::string(1, c);
    }
  }
  return word + "'";
}

enum class Found { kNothing, kReport, kOther };

Found look_at(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return Found::kNothing;
  if (!S_ISREG(info.st_mode)) return Found::kOther;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  std::array<char, kFirstLine.size()> start{};
  const ssize_t got = file.valid() ? ::read(file.get(), start.data(), start.size()) : -1;
  const bool ours = got == static_cast<ssize_t>(start.size()) && std::string_view(start.data(), start.size()) == kFirstLine;
  return ours ? Found::kReport : Found::kOther;
}

}  // namespace

std::string failure_report(const queue::Job& job) {
  const Error error = job.error.value_or(make_error(ErrorCode::kInternal, "no reason was recorded"));
  const UnixMillis when = job.finished_at.value_or(job.accepted_at);
  std::string text(kFirstLine);
  text += fmt::format("\nFile:        {}\n", one_line(job.request.name));
  if (!job.request.spooled) text += fmt::format("Path:        {}\n", one_line(job.request.source.native()));
  text += fmt::format("Reason:      {} ({})\n", one_line(error.message), error.name());
  text += fmt::format("What to do:  {}\n", error.remedy());
  if (!error.stage.empty()) text += fmt::format("Stage:       {}\n", error.stage);
  text += fmt::format("Attempts:    {}\n", std::max(job.claims, 1));
  text += fmt::format("Job:         {}\n", job.id);
  text += fmt::format("Time:        {:%Y-%m-%d %H:%M:%S} UTC\n", fmt::gmtime(std::chrono::system_clock::to_time_t(when)));
  text += job.request.spooled ? "\nTo try again:\n" : "\nThe original was left as it is. To try again:\n";
  if (job.request.origin.starts_with("watch:"))
    text += fmt::format("  touch {}    or\n", shell_word(job.request.source.native()));
  text += fmt::format("  retouch retry {}\n", job.id);
  text += "This file disappears when the picture has been restored.\n";
  return text;
}

Result<void> write_failure_report(const queue::Job& job) {
  const auto& path = job.request.error_report;
  if (path.empty()) return {};
  if (look_at(path) == Found::kOther) {
    return make_error(ErrorCode::kOutputExists,
                      "cannot write " + path.string() + ": a file that retouchd did not write stands there");
  }
  if (auto made = make_directories_synced(path.parent_path()); !made) return made;
  const std::string text = failure_report(job);
  return queue::Publisher::write_atomically(path, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

Result<void> remove_failure_report(const queue::Job& job) {
  const auto& path = job.request.error_report;
  if (path.empty() || look_at(path) != Found::kReport) return {};
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return error_from_errno(errno, "cannot remove " + path.string(), false);
  return {};
}

}  // namespace retouchd::intake
