#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// The daemon's own copies of pictures that came as bytes: <state_dir>/spool/<name>.
///
/// Names are made of the idempotency key and the content, so that the same submit sent twice means the same file. A file appears
/// whole: written beside, fsynced, renamed, folder fsynced. Threads: safe.
class Spool {
 public:
  struct Entry {
    std::filesystem::path path;
    FileIdentity identity;
  };

  explicit Spool(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Where content with this hash belongs under this key. `suffix`: ".jpg", or empty.
  [[nodiscard]] std::filesystem::path path_for(const std::string& key, const std::string& sha256,
                                               const std::string& suffix) const;

  /// Durably there when this returns. A file already there has this content (path_for) and is left alone: a job may be reading
  /// it.
  [[nodiscard]] Result<Entry> put(const std::filesystem::path& path, std::span<const std::uint8_t> content) const;

  /// The same with the content of a complete and durable file below the state directory: another name for it, or, where the file
  /// system has none, a copy. kInputMissing when it has gone.
  [[nodiscard]] Result<Entry> adopt(const std::filesystem::path& path, const std::filesystem::path& file) const;

  /// Removes files older than `age` that no unfinished or failed job of `store` reads: what a crash between writing and
  /// accepting left behind. Returns how many.
  [[nodiscard]] Result<int> sweep(queue::JobStore& store, std::chrono::seconds age) const;

 private:
  Result<void> make_folder() const;
  Result<Entry> entry_of(const std::filesystem::path& path) const;

  std::filesystem::path folder_;
};

}  // namespace retouchd::intake
