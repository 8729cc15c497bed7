#pragma once

#include "base/units.h"

namespace retouchd::daemon {

/// The most memory this process has had resident so far (VmHWM). 0 when the kernel does not say.
[[nodiscard]] Bytes peak_resident_memory();

/// Settles how the C library gives memory back: a picture's planes go back to the system when it leaves, instead of staying in
/// the heaps of the threads that touched it. To be called before the first thread starts.
void return_large_blocks_early();

}  // namespace retouchd::daemon
