#pragma once

#include "inference/kernels/launch.h"
#include "tests/emulator/emulator.h"

namespace retouchd::emulator {

/// Stands in for kernels::CudaLauncher: runs a kernel here and now.
class Launcher {
 public:
  /// `shared_memory`: bytes a block may have, as on the device that is to be tried.
  explicit Launcher(std::uint32_t seed = 1, std::size_t shared_memory = std::size_t{227} << 10U)
      : seed_(seed), shared_memory_(shared_memory) {}

  template <typename Kernel>
  [[nodiscard]] kernels::Outcome run(int blocks_x, int blocks_y, const typename Kernel::Arguments& arguments) const {
    if (Kernel::kShared > shared_memory_) return "too much shared memory";
    if (blocks_x < 1 || blocks_y < 1 || blocks_y > 65535) return "no device has such a grid";
    emulate<Kernel>({blocks_x, blocks_y}, arguments, seed_);
    return nullptr;
  }

  [[nodiscard]] std::size_t shared_memory() const { return shared_memory_; }

 private:
  std::uint32_t seed_;
  std::size_t shared_memory_;
};

}  // namespace retouchd::emulator
