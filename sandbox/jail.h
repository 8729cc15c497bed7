#pragma once

#include "base/result.h"

/// How a process gives its rights away for good. Called once each, in this order, by a process with one thread.
namespace retouchd::sandbox {

/// Into a network namespace of its own, where not even loopback is up. False where that is not allowed (as in a systemd unit with
/// RestrictNamespaces=yes); lock_in() forbids sockets anyway.
[[nodiscard]] bool leave_network() noexcept;

/// From here on this process computes, reads and writes the descriptors it has and those that its socket brings; that is all:
///
///   * limits: no core file, few descriptors, no further process;
///   * no_new_privs: no program can give it rights back;
///   * Landlock, where the kernel has it: no path can be opened, no TCP port used, nobody outside signalled;
///   * seccomp: a list of allowed system calls (jail.cpp). execve, socket, ptrace and the like end the process (SIGSYS), all
///   others
///     fail with EPERM: what a library only tries must not kill it. No memory becomes executable.
///
/// Returns the version of Landlock that holds, 0 for none. kBadConfig when seccomp or no_new_privs cannot be had.
[[nodiscard]] Result<int> lock_in();

}  // namespace retouchd::sandbox
