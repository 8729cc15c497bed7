#pragma once

#include <optional>

#include "inference/network_info.h"

namespace retouchd::stages {

/// A network that exists only on paper.
inline inference::NetworkInfo network_on_paper(std::optional<int> receptive_field, int scale = 1) {
  inference::NetworkInfo network;
  network.name = "paper";
  network.multiple = 8;
  network.scale = scale;
  network.receptive_field = receptive_field;
  return network;
}

}  // namespace retouchd::stages
