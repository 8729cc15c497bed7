#include "sandbox/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>
#include <vector>

#include "base/spawn.h"

namespace retouchd::sandbox {
namespace {

using std::chrono::steady_clock;

// The address space of a sanitized program cannot be limited.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitsMemory = false;
#else
constexpr bool kLimitsMemory = true;
#endif

/// For the codecs' own small things, and for what the heap loses to fragments.
constexpr std::uint64_t kSpareMemory = gibibytes(1).value;

/// A worker inherits nothing that could change what it computes.
std::vector<std::string> environment() {
  std::vector<std::string> variables{"LC_ALL=C.UTF-8", "OMP_NUM_THREADS=1", "OPENCV_OPENCL_RUNTIME=disabled",
                                     "MALLOC_ARENA_MAX=1"};
  for (const char* name : {"LD_LIBRARY_PATH", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name); value != nullptr) variables.push_back(fmt::format("{}={}", name, value));
  }
  return variables;
}

/// The same file under a number that no dup2() of spawn() overwrites or finds in its place already.
UniqueFd above_targets(UniqueFd fd) noexcept {
  if (fd.get() > kArena) return fd;
  return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kArena + 1));
}

std::string name_of_signal(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("signal {} (SIG{})", number, name);
}

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::start(const std::filesystem::path& program) {
  const auto failed = [&](int error) {
    return make_error(ErrorCode::kBadConfig, fmt::format("cannot start {}: {}", program.string(), std::strerror(error)));
  };
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed(errno);
  UniqueFd ours(ends[0]);
  const UniqueFd theirs = above_targets(UniqueFd(ends[1]));
  auto memory = memory_file("pixels between retouchd and retouchd-codec");
  if (!memory) return memory.error();
  const UniqueFd arena = above_targets(*std::move(memory));
  // It must not shrink: what is mapped and not there ends a process.
  if (!theirs.valid() || ::ftruncate(arena.get(), static_cast<off_t>(kArenaSize)) != 0 ||
      ::fcntl(arena.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return failed(errno);
  }
  auto mapped = Mapping::of(arena.get(), kArenaSize, Mapping::Kind::kShared);
  if (!mapped) return mapped.error();
  pid_t child = 0;
  static_assert(kSocket == 3 && kArena == 4);
  const SpawnedCommand command{program.string(), {program.string()}, environment(), -1, {theirs.get(), arena.get()}};
  if (const int error = spawn(command, child); error != 0) return failed(error);
  return std::unique_ptr<WorkerProcess>(new WorkerProcess(child, std::move(ours), *std::move(mapped)));
}

WorkerProcess::~WorkerProcess() { end(); }

siginfo_t WorkerProcess::end() noexcept {
  siginfo_t info{};
  if (pid_ <= 0) return info;
  ::kill(pid_, SIGKILL);
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) != 0 && errno == EINTR) continue;
  pid_ = 0;
  return info;
}

bool WorkerProcess::await_message(SteadyTime deadline) const noexcept {
  pollfd watched{socket_.get(), POLLIN, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    const int ready = ::poll(&watched, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000)));
    if (ready > 0) return true;
    if (ready == 0 && left.count() <= 3'600'000) return false;
  }
}

bool WorkerProcess::is_idle() const noexcept {
  pollfd watched{socket_.get(), POLLIN, 0};
  return pid_ > 0 && ::poll(&watched, 1, 0) == 0;
}

Result<void> WorkerProcess::await_ready(SteadyTime deadline) {
  if (ready_) return {};
  const auto failed = [](const std::string& reason) {
    return make_error(ErrorCode::kBadConfig, fmt::format("the program that reads and writes pictures is not usable: {}", reason));
  };
  if (!await_message(deadline)) return failed("it does not get ready");
  Hello hello;
  const std::size_t size = receive_message(socket_.get(), writable_bytes_of(hello));
  if (size == 0) return failed(died().reason);
  if (size != sizeof(hello) || hello.version != kVersion || hello.request_size != sizeof(Request)) {
    return failed("it belongs to another version of retouchd");
  }
  if (hello.failure[0] != '\0') return failed(text_of(hello.failure));
  mapped_ = hello.mapped;
  ready_ = true;
  return {};
}

void WorkerProcess::set_limits(const Allowance& allowance) const noexcept {
  // The hard limits stay, so that the next picture may have more; the worker itself cannot raise anything (jail.h).
  const auto set = [&](__rlimit_resource which, std::uint64_t most) {
    const rlimit value{most, RLIM_INFINITY};
    ::prlimit(pid_, which, &value, nullptr);
  };
  if (kLimitsMemory) set(RLIMIT_AS, mapped_ + kSpareMemory + allowance.memory);
  set(RLIMIT_FSIZE, allowance.writing);
  // Should this process be gone, nobody else ends a worker that hangs.
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid_, &clock) == 0 && ::clock_gettime(clock, &used) == 0) {
    set(RLIMIT_CPU, static_cast<std::uint64_t>(used.tv_sec) + static_cast<std::uint64_t>(allowance.time.count()) + 10);
  }
}

WorkerProcess::Answer WorkerProcess::died() {
  Answer answer;
  answer.how = Answer::How::kDied;
  // It closed its socket; by its end, in all likelihood, whose cause must not be hidden by our own signal.
  // glibc 2.36 declares pidfd_open() without extern "C".
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  constexpr int kPatience = 2000;  // ms: to tear down an address space of gigabytes
  while (::poll(&ended, 1, kPatience) < 0 && errno == EINTR) continue;
  const siginfo_t info = end();
  if (info.si_code == CLD_EXITED) {
    answer.reason = fmt::format("ended with status {}", info.si_status);
  } else if (info.si_status == SIGSYS) {
    answer.reason = "tried what it may not do (SIGSYS)";
  } else {
    answer.reason = fmt::format("died of {}", name_of_signal(info.si_status));
    if (info.si_status == SIGKILL) answer.how = Answer::How::kKilled;
  }
  return answer;
}

WorkerProcess::Answer WorkerProcess::nonsense(std::string reason) {
  end();
  Answer answer;
  answer.how = Answer::How::kNonsense;
  answer.reason = std::move(reason);
  return answer;
}

WorkerProcess::Answer WorkerProcess::call(Request request, std::span<const int> files, const Allowance& allowance) {
  const auto deadline = steady_clock::now() + allowance.time;
  request.id = next_id_++;
  set_limits(allowance);
  if (!send_message(socket_.get(), bytes_of(request), files)) return died();
  if (!await_message(deadline)) {
    end();
    Answer answer;
    answer.how = Answer::How::kTimeout;
    answer.reason = fmt::format("took longer than {} s", allowance.time.count());
    return answer;
  }
  Answer answer;
  const std::size_t size = receive_message(socket_.get(), writable_bytes_of(answer.reply));
  if (size == 0) return died();
  if (size != sizeof(Reply) || answer.reply.id != request.id) return nonsense("answered what was not asked");
  if (!is_idle() && answer.reply.leaves == 0) {
    // It said two things, or ended right behind its answer.
    char first = 0;
    if (::recv(socket_.get(), &first, 1, MSG_DONTWAIT) > 0) return nonsense("answered twice");
  }
  return answer;
}

}  // namespace retouchd::sandbox
