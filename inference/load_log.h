#pragma once

#include "inference/network_info.h"
#include "inference/precision_choice.h"

namespace retouchd::inference {

/// Tells the log that a device loaded a network, how it computes, and whether something else was asked for.
/// (Here, because LibTorch brings headers of another fmt, which must not meet the logger's.)
void log_loaded(const NetworkInfo& network, const PrecisionChoice& choice);

}  // namespace retouchd::inference
