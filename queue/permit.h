#pragma once

#include <string>

namespace retouchd::queue {

/// Whether one more picture may be sent to a node now.
struct Permit {
  bool granted = false;
  std::string code;    ///< why not, as Decision::code: "over_budget", "node_away", "deadline"; empty when granted
  std::string reason;  ///< for people, without a full stop: "over budget until 14:00"
};

}  // namespace retouchd::queue
