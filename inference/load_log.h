#pragma once

#include <string>

#include "inference/backend.h"
#include "inference/network_info.h"
#include "inference/precision_choice.h"

namespace retouchd::inference {

/// Tells the log that a device loaded a network, how and by whom it is computed, and whether something else was asked for.
/// (Here, because LibTorch brings headers of another fmt, which must not meet the logger's.)
void log_loaded(const NetworkInfo& network, const PrecisionChoice& choice, const BackendChoice& backend = {});

/// A warning of code that sees LibTorch's headers.
void log_warning(const std::string& text);

}  // namespace retouchd::inference
