#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace retouchd::inference {

/// What a network declares about itself; enough to plan tiles without loading it.
struct NetworkInfo {
  std::string name;          ///< of the weight file without suffix; what jobs ask for
  std::string architecture;  ///< "student-tiny", "identity"
  std::string task;          ///< "denoise", ... from the weights' metadata
  std::string license;
  int scale = 1;                       ///< output pixels per input pixel along a side
  int multiple = 1;                    ///< tile sides and origins are multiples of this
  std::optional<int> receptive_field;  ///< how far (pixels, one side) an input pixel reaches; nullopt: the whole input
  std::uint64_t parameters = 0;
  std::filesystem::path weights;
  std::string sha256;  ///< of the weight file

  /// Context around a tile that makes its inner part equal the whole picture's, rounded up to the multiple.
  /// 0 for global networks: no halo can do that, tiles are blended instead.
  [[nodiscard]] int halo() const noexcept {
    if (!receptive_field) return 0;
    return (*receptive_field + multiple - 1) / multiple * multiple;
  }
};

}  // namespace retouchd::inference
