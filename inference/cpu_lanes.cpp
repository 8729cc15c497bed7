#include "inference/cpu_lanes.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace retouchd::inference {

CpuLanes::Share::Share(CpuLanes& lanes) : lanes_(lanes) {
  const int inside = ++lanes_.inside_;
  const int threads = lanes_.deterministic_ ? 1 : std::max(1, lanes_.threads_ / inside);
  // OpenMP's and MKL's numbers are of the calling thread; oneDNN asks OpenMP. The only thing that LibTorch sets for all is what
  // threads new to it begin with, and those that compute here set their own. get_num_threads() does that beginning, so that
  // it does not happen in the middle of a forward pass.
  if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

CpuLanes::Share::~Share() { --lanes_.inside_; }

}  // namespace retouchd::inference
