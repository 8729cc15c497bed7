#include "intake/hook_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/file.h"
#include "base/spawn.h"

namespace retouchd::intake {
namespace {

using std::chrono::steady_clock;
using How = HookEnd::How;

HookEnd not_started(const char* what, int error) { return {How::kFailed, fmt::format("{}: {}", what, std::strerror(error)), {}}; }

/// Takes what is there; false when nothing more will come.
bool take_output(int fd, std::string& output) {
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 && errno == EAGAIN;
    output.append(buffer.data(), static_cast<std::size_t>(got));
    if (output.size() > HookEnd::kMostOutput) output.erase(0, output.size() - HookEnd::kMostOutput);
    if (got < static_cast<ssize_t>(buffer.size())) return true;
  }
}

/// Waits until the process ended, its time is over, or it is told to stop.
How await_end(int process, int output_fd, int stop_fd, steady_clock::time_point end, std::string& output) {
  std::array<pollfd, 3> watched{{{process, POLLIN, 0}, {output_fd, POLLIN, 0}, {stop_fd, POLLIN, 0}}};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
    if (left.count() <= 0) return How::kTimeout;
    if (::poll(watched.data(), watched.size(), static_cast<int>(left.count())) < 0) continue;  // EINTR
    if (watched[1].revents != 0 && !take_output(output_fd, output)) watched[1].fd = -1;
    if (watched[0].revents != 0) return How::kOk;
    if (watched[2].revents != 0) return How::kStopped;
  }
}

}  // namespace

HookEnd run_hook(const HookCommand& command, int stop_fd) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return not_started("no pipe", errno);
  const UniqueFd read_end(pipe[0]);
  UniqueFd write_end(pipe[1]);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);

  pid_t child = 0;
  const SpawnedCommand shell{"/bin/sh", {"sh", "-c", command.text}, command.environment, write_end.get(), {}};
  if (const int error = spawn(shell, child); error != 0) return not_started("/bin/sh was not started", error);
  write_end = UniqueFd();
  // glibc 2.36 declares pidfd_open() without extern "C".
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  const int no_process = errno;

  HookEnd end;
  if (process.valid()) {
    end.how = await_end(process.get(), read_end.get(), stop_fd, steady_clock::now() + command.timeout, end.output);
  }
  // Before the child is waited for, so that its group's number cannot be another's by now.
  ::kill(-child, SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED) != 0 && errno == EINTR) continue;
  take_output(read_end.get(), end.output);

  if (!process.valid()) return not_started("the process cannot be watched", no_process);
  if (end.how == How::kTimeout) end.reason = fmt::format("killed after {} ms", command.timeout.count());
  if (end.how == How::kStopped) end.reason = "killed, because retouchd stops";
  if (end.how == How::kOk && (info.si_code != CLD_EXITED || info.si_status != 0)) {
    end.how = How::kFailed;
    end.reason = fmt::format("{} {}", info.si_code == CLD_EXITED ? "exit status" : "signal", info.si_status);
  }
  return end;
}

}  // namespace retouchd::intake
