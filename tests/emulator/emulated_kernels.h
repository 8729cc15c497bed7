#pragma once

#include "inference/kernels/launch.h"

namespace retouchd::emulator {

/// The kernels of the module, run by the emulator: pointers are to this machine's memory, streams are ignored, a call has
/// happened when it returns. The device is one of two multiprocessors with the shared memory of an H100; there is no other. What
/// breaks a rule that the emulator checks throws std::logic_error.
const kernels::KernelSet& emulated_kernels();

}  // namespace retouchd::emulator
