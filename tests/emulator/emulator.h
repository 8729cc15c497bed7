#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "inference/kernels/simt.h"

namespace retouchd::emulator {

struct Grid {
  int x = 1;
  int y = 1;
};

/// Runs `body` for each thread of each block of the grid on this CPU, blocks one after the other, threads of a block taking turns
/// at barriers and warp-wide instructions. `seed` shuffles the order of the warps at every turn, and turns that of their lanes: a
/// kernel whose result depends on it lacks a barrier. In a build with ThreadSanitizer a missing barrier is a data race (races.h).
/// Shared memory starts as NaN in any type of number; copies arrive at the last moment that the rules allow (odd seeds) or at
/// once (even seeds). Throws std::logic_error when threads wait for each other for ever, lanes of a warp execute different
/// instructions, a thread ends while others wait at a barrier, an address is not aligned, or memory behind the shared block was
/// written.
void emulate(const Grid& grid, int threads, std::size_t shared, std::uint32_t seed,
             const std::function<void(const kernels::Thread&)>& body);

template <typename Kernel>
void emulate(const Grid& grid, const typename Kernel::Arguments& arguments, std::uint32_t seed = 1) {
  emulate(grid, Kernel::kThreads, Kernel::kShared, seed,
          [&arguments](const kernels::Thread& thread) { Kernel::run(thread, arguments); });
}

}  // namespace retouchd::emulator
