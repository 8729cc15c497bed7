#include "sandbox/jail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

namespace retouchd::sandbox {
namespace {

/// What decoding, encoding and answering need.
constexpr std::array kAllowed{// memory; mmap and mprotect have a rule of their own
                              SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
                              // descriptors that are open
                              SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
                              SCMP_SYS(close), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
                              // this process alone
                              SCMP_SYS(futex), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield),
                              SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
                              SCMP_SYS(gettimeofday), SCMP_SYS(getrusage), SCMP_SYS(restart_syscall), SCMP_SYS(rt_sigaction),
                              SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
                              SCMP_SYS(exit_group)};

/// What no library of ours even tries: whoever calls it is not our code.
constexpr std::array kFatal{SCMP_SYS(execve),
                            SCMP_SYS(execveat),
                            SCMP_SYS(socket),
                            SCMP_SYS(socketpair),
                            SCMP_SYS(connect),
                            SCMP_SYS(bind),
                            SCMP_SYS(listen),
                            SCMP_SYS(accept),
                            SCMP_SYS(accept4),
                            SCMP_SYS(ptrace),
                            SCMP_SYS(process_vm_readv),
                            SCMP_SYS(process_vm_writev),
                            SCMP_SYS(kill),
                            SCMP_SYS(tkill),
                            SCMP_SYS(pidfd_open),
                            SCMP_SYS(pidfd_getfd),
                            SCMP_SYS(pidfd_send_signal),
                            SCMP_SYS(bpf),
                            SCMP_SYS(mount),
                            SCMP_SYS(setns),
                            SCMP_SYS(unshare),
                            SCMP_SYS(init_module),
                            SCMP_SYS(finit_module),
                            SCMP_SYS(kexec_load),
                            SCMP_SYS(keyctl),
                            SCMP_SYS(add_key),
                            SCMP_SYS(request_key),
                            SCMP_SYS(io_uring_setup),
                            SCMP_SYS(userfaultfd),
                            SCMP_SYS(perf_event_open),
                            SCMP_SYS(open_by_handle_at),
                            SCMP_SYS(reboot),
                            SCMP_SYS(chroot),
                            SCMP_SYS(pivot_root)};

Error cannot(const char* what, int error) {
  return make_error(ErrorCode::kBadConfig, fmt::format("cannot {}: {}", what, std::strerror(error)));
}

/// Denies all paths, and what newer versions can deny besides. The version, 0 where the kernel has none or it is switched off.
int deny_paths() noexcept {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return 0;
  // The kernel's struct grew: its size says which version is meant. Rights are numbered from bit 0, new ones behind the old.
  struct Ruleset {
    std::uint64_t files = 0;
    std::uint64_t network = 0;
    std::uint64_t scopes = 0;
  } denied;
  const unsigned rights = version >= 5 ? 16 : version >= 3 ? 15 : version >= 2 ? 14 : 13;
  denied.files = (std::uint64_t{1} << rights) - 1;
  std::size_t size = sizeof(denied.files);
  if (version >= 4) {
    denied.network = 3;  // bind, connect by TCP
    size = offsetof(Ruleset, scopes);
  }
  if (version >= 6) {
    denied.scopes = 3;  // abstract Unix sockets, signals
    size = sizeof(denied);
  }
  const int rules = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &denied, size, 0));
  if (rules < 0) return 0;
  const long restricted = ::syscall(SYS_landlock_restrict_self, rules, 0);
  ::close(rules);
  return restricted == 0 ? static_cast<int>(version) : 0;
}

Result<void> deny_calls() {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)), &seccomp_release);
  if (!filter) return cannot("prepare the filter of system calls", ENOMEM);
  int failed = 0;
  const auto keep = [&](int result) {
    if (result != 0 && failed == 0) failed = -result;
  };
  keep(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
  keep(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  for (const int call : kAllowed) keep(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0));
  for (const int call : kFatal) keep(seccomp_rule_add(filter.get(), SCMP_ACT_KILL_PROCESS, call, 0));
  const scmp_arg_cmp not_executable{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  keep(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_executable));
  keep(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_executable));
  // abort() signals its own thread.
  const scmp_arg_cmp itself{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()), 0};
  keep(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &itself));
  // Limits are read, never set.
  const std::array<scmp_arg_cmp, 2> only_read{{{0, SCMP_CMP_EQ, 0, 0}, {2, SCMP_CMP_EQ, 0, 0}}};
  keep(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, only_read.data()));
  if (failed == 0) keep(seccomp_load(filter.get()));
  if (failed != 0) return cannot("install the filter of system calls", failed);
  return {};
}

void limit(__rlimit_resource which, rlim_t most) noexcept {
  const rlimit value{most, most};
  ::setrlimit(which, &value);
}

}  // namespace

bool leave_network() noexcept { return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWNET) == 0; }

Result<int> lock_in() {
  constexpr rlim_t kMostFiles = 16;
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, kMostFiles);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_MEMLOCK, 0);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("give up new privileges", errno);
  const int landlock = deny_paths();
  if (auto denied = deny_calls(); !denied) return denied.error();
  return landlock;
}

}  // namespace retouchd::sandbox
