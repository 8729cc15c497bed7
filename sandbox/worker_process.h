#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"
#include "sandbox/mapping.h"
#include "sandbox/protocol.h"

namespace retouchd::sandbox {

using SteadyTime = std::chrono::steady_clock::time_point;

/// One process of `retouchd-codec`, ended with this object. Confined to one thread at a time.
class WorkerProcess {
 public:
  /// Starts `program`, which gets ready by itself. kBadConfig when it cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<WorkerProcess>> start(const std::filesystem::path& program);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Waits until it has locked itself in. kBadConfig when it cannot, with the reason.
  [[nodiscard]] Result<void> await_ready(SteadyTime deadline);

  /// What one request may use, beyond what an idle worker does.
  struct Allowance {
    std::uint64_t memory = 0;   ///< address space
    std::uint64_t writing = 0;  ///< bytes of a file
    std::chrono::seconds time{60};
  };
  struct Answer {
    enum class How {
      kReplied,
      kDied,     ///< of what it was doing
      kKilled,   ///< by somebody else: an administrator, or the kernel for want of memory
      kTimeout,  ///< did not answer in time, and was killed
      kNonsense  ///< answered what no worker of ours says, and was killed
    } how = How::kReplied;
    Reply reply;
    std::string reason;  ///< "died of signal 11 (Segmentation fault)", ...
  };
  /// Sends a request and waits for the answer. After anything but kReplied the process has ended.
  [[nodiscard]] Answer call(Request request, std::span<const int> files, const Allowance& allowance);

  /// True when it waits for a request: it lives, and says nothing unasked.
  [[nodiscard]] bool is_idle() const noexcept;
  /// Memory of kArenaSize that the worker may change at any time.
  [[nodiscard]] std::span<std::uint8_t> arena() const noexcept { return arena_.bytes(); }
  [[nodiscard]] bool is_ready() const noexcept { return ready_; }
  [[nodiscard]] std::uint64_t calls() const noexcept { return next_id_ - 1; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  WorkerProcess(pid_t pid, UniqueFd socket, Mapping arena) noexcept
      : pid_(pid), socket_(std::move(socket)), arena_(std::move(arena)) {}
  /// Kills and buries it.
  siginfo_t end() noexcept;
  [[nodiscard]] bool await_message(SteadyTime deadline) const noexcept;
  void set_limits(const Allowance& allowance) const noexcept;
  [[nodiscard]] Answer died();
  [[nodiscard]] Answer nonsense(std::string reason);

  pid_t pid_;
  UniqueFd socket_;
  Mapping arena_;
  bool ready_ = false;
  std::uint64_t mapped_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace retouchd::sandbox
