#pragma once

#include <filesystem>
#include <set>
#include <utility>

#include "base/result.h"
#include "queue/job_store.h"

namespace retouchd::cloud {

/// The folder <state_dir>/escalated. Each file's name begins with "<job>.<epoch>.":
///
///     17.3.send                    what is sent of job 17
///     17.3.0123456789abcdef.part   what has come back so far
///     17.3.png                     the result, until job 17 is done with it
///
/// Threads: safe.
class ReturnedFiles {
 public:
  explicit ReturnedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Makes the folder, for its owner alone. Errors: those of writing.
  [[nodiscard]] Result<void> prepare() const;

  [[nodiscard]] std::filesystem::path stem(queue::Claim claim) const;    ///< "17.3"
  [[nodiscard]] std::filesystem::path parcel(queue::Claim claim) const;  ///< "17.3.send"

  /// The jobs that have files.
  [[nodiscard]] std::set<queue::JobId> jobs() const;

  /// Of this claim only.
  void remove(queue::Claim claim) const;
  /// What was needed to get the result, which stays.
  void remove_all_but_result(queue::Claim claim) const;
  /// Whatever a job has.
  void remove(queue::JobId job) const;
  /// What no job of `store` waits for: files of jobs that ended or are unknown, and of earlier claims. A result stays while its
  /// job names it. kStoreFailed when the store cannot tell.
  [[nodiscard]] Result<void> sweep(queue::JobStore& store) const;

 private:
  template <class Condition>
  void remove_where(Condition condition) const;

  std::filesystem::path folder_;
};

}  // namespace retouchd::cloud
