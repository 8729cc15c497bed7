#pragma once

#include <filesystem>

#include "base/file.h"
#include "base/result.h"

namespace retouchd::queue {

/// The right to use a state directory: one process at a time. Held until it goes or the process ends, however that happens;
/// the file `lock` stays behind and means nothing by itself.
class StateLock {
 public:
  /// kBusy, naming the process that holds it; kStoreFailed when the file cannot be opened.
  [[nodiscard]] static Result<StateLock> acquire(const std::filesystem::path& directory);

 private:
  explicit StateLock(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace retouchd::queue
