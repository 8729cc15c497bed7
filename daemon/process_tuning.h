#pragma once

#include "base/units.h"

namespace retouchd::daemon {

/// The memory this process has resident now (VmRSS). 0 when the kernel does not say.
[[nodiscard]] Bytes resident_memory();

/// Settles how the C library gives memory back: a picture's planes go back to the system when it leaves, instead of staying in
/// the heaps of the threads that touched it. To be called before the first thread starts.
void return_large_blocks_early();

/// LibTorch's threads wait for each other by spinning, which takes the cores from everybody else: the stages beside them, and
/// other programs, whose share of a core then decides how long all the others wait. OpenMP reads how to wait when its library is
/// loaded, so this starts the program anew with that set, unless the environment says already how. To be called first.
void wait_without_spinning(char** arguments);

}  // namespace retouchd::daemon
