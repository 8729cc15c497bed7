#include "tests/emulator/emulated_kernels.h"

#include "inference/kernels/depthwise_gate.h"
#include "inference/kernels/depthwise_gram.h"
#include "inference/kernels/feed_forward.h"
#include "inference/kernels/mixing.h"
#include "inference/kernels/pointwise.h"
#include "inference/kernels/pointwise_bytes.h"
#include "inference/kernels/qkv_gram.h"
#include "tests/emulator/launcher.h"

namespace retouchd::emulator {
namespace {

using kernels::Outcome;
using kernels::Stream;

Outcome use_device(int index) { return index == 0 ? nullptr : "the emulator has one device"; }

int multiprocessors() { return 2; }

bool fits(kernels::OnChip kernel, int channels) {
  const std::size_t needed =
      kernel == kernels::OnChip::kQkvGram ? kernels::qkv_gram_shared(channels) : kernels::feed_forward_shared(channels);
  return needed > 0 && needed <= Launcher().shared_memory();
}

kernels::KernelSet make() {
  kernels::KernelSet kernels;
  kernels.use_device = use_device;
  kernels.multiprocessors = multiprocessors;
  kernels.fits = fits;
  kernels.depthwise_gate = [](const kernels::DepthwiseGateCall& call, Stream) {
    return dispatch_depthwise_gate(call, Launcher());
  };
  kernels.pointwise = [](const kernels::PointwiseCall& call, Stream) { return dispatch_pointwise(call, Launcher()); };
  kernels.depthwise_gram = [](const kernels::DepthwiseGramCall& call, Stream) {
    return dispatch_depthwise_gram(call, Launcher());
  };
  kernels.qkv_gram = [](const kernels::QkvGramCall& call, Stream) { return dispatch_qkv_gram(call, Launcher()); };
  kernels.mixing = [](const kernels::MixingCall& call, Stream) { return dispatch_mixing(call, Launcher()); };
  kernels.feed_forward = [](const kernels::FeedForwardCall& call, Stream) { return dispatch_feed_forward(call, Launcher()); };
  kernels.pointwise_bytes = [](const kernels::PointwiseBytesCall& call, Stream) {
    return dispatch_pointwise_bytes(call, Launcher());
  };
  return kernels;
}

}  // namespace

const kernels::KernelSet& emulated_kernels() {
  static const kernels::KernelSet kernels = make();
  return kernels;
}

}  // namespace retouchd::emulator
