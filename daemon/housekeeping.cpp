#include "daemon/housekeeping.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <system_error>

namespace retouchd::daemon {
namespace {

namespace fs = std::filesystem;

int remove_older(const fs::path& folder, fs::file_time_type than) {
  int removed = 0;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_regular_file(ignored) && entry->last_write_time(ignored) < than && !ignored &&
        fs::remove(entry->path(), ignored))
      ++removed;
  }
  return removed;
}

}  // namespace

void forget_old(queue::JobStore& store, const config::Retention& retention, const fs::path& state_dir, const Clock& clock) {
  const auto now = clock.now();
  const auto forgotten = store.forget(now - retention.done, now - retention.failed);
  if (!forgotten) {
    spdlog::warn("old jobs could not be forgotten: {}", forgotten.error().message);
  } else if (*forgotten > 0) {
    spdlog::info("{} old jobs forgotten", *forgotten);
  }
  const auto oldest =
      std::chrono::file_clock::from_sys(std::chrono::time_point_cast<fs::file_time_type::duration>(now - retention.done));
  for (const char* folder : {"previews", "results"}) {
    if (const int removed = remove_older(state_dir / folder, oldest); removed > 0)
      spdlog::info("{} old files removed from {}", removed, folder);
  }
}

}  // namespace retouchd::daemon
