#pragma once

#include "tests/emulator/launcher.h"

namespace retouchd::kernels {

/// Has one block take all tiles of its rows, as where there are more rows than a device takes at once.
class WholeRowsLauncher {
 public:
  explicit WholeRowsLauncher(std::uint32_t seed = 1) : launcher_(seed) {}

  template <typename Kernel>
  [[nodiscard]] Outcome run(int blocks_x, int blocks_y, typename Kernel::Arguments arguments) const {
    const int row_blocks = blocks_x / arguments.split.parts;
    arguments.split = {arguments.split.tiles, 1, arguments.split.tiles};
    return launcher_.run<Kernel>(row_blocks, blocks_y, arguments);
  }

  [[nodiscard]] std::size_t shared_memory() const { return launcher_.shared_memory(); }

 private:
  emulator::Launcher launcher_;
};

}  // namespace retouchd::kernels
