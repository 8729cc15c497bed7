#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/temporary_folder.h"

namespace retouchd::inference {

/// A folder for weight files.
class WeightFolder : public TemporaryFolder {
 public:
  /// A safetensors file: length of the header, header, data.
  std::filesystem::path write_weights(const std::string& name, const std::string& header, const std::string& data) const {
    std::string length;
    for (unsigned i = 0; i < 8; ++i) length += static_cast<char>(header.size() >> (8 * i));
    return write(name, length + header + data);
  }
};

}  // namespace retouchd::inference
