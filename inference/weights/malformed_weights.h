#pragma once

#include <stdexcept>

namespace retouchd::inference {

/// Why a weight file is refused, without the file's name. Thrown by its parsers, caught in weight_file.cpp and safetensors.cpp:
/// callers of those see a Result.
class MalformedWeights : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace retouchd::inference
