#pragma once

#include "inference/network_info.h"

namespace retouchd::inference {

/// The built-in network that gives back what it gets, number for number: it has no weight file and always computes in fp32. What
/// comes out of a job with it shows what decoding, tiles and encoding do to a picture (nothing, where its format loses nothing).
/// Each channel goes alone, so that gray and colour pictures come back alike. Its digest is that of a fixed text.
[[nodiscard]] NetworkInfo identity_network();

[[nodiscard]] inline bool is_identity(const NetworkInfo& network) noexcept { return network.architecture == "identity"; }

}  // namespace retouchd::inference
