#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace retouchd::inference {

/// A second picture that a network needs beside the first one.
enum class Companion {
  kNone,
  kDepth,      ///< CV_16UC1, distance in millimetres, 0 where it is unknown; the network restores the depth
  kRightView,  ///< the other view of a dual-pixel camera, same type and size as the first
};

[[nodiscard]] std::string_view name_of(Companion companion) noexcept;  ///< "", "depth", "right"

/// What a network declares about itself; enough to plan tiles without loading it.
struct NetworkInfo {
  std::string name;          ///< of the weight file without suffix; what jobs ask for
  std::string architecture;  ///< "student-tiny", "restormer", "drct", "rgbd-tiny", "torchscript", "aotinductor"
  std::string variant;       ///< for people: "dim 48, blocks 4 6 6 8 + 4, with bias"; may be empty
  std::string task;          ///< "denoise", ... from the weights' metadata or manifest
  std::string license;
  int channels = 3;  ///< of one colour picture: 1 (each channel of a colour picture goes alone) or 3
  Companion companion = Companion::kNone;
  int scale = 1;                       ///< output pixels per input pixel along a side
  int multiple = 1;                    ///< tile sides and origins are multiples of this
  std::optional<int> receptive_field;  ///< how far (pixels, one side) an input pixel reaches; nullopt: the whole input
  std::optional<int> local_window;     ///< Restormer: attention in windows of this side instead of over all of the input
  double range = 1.0;                  ///< packages: what white is in their tensors (1 or 255)
  bool wants_srgb = false;             ///< knows sRGB only: pictures with another ICC profile are converted, and back afterwards
  std::uint64_t parameters = 0;        ///< 0: not known (packages)
  std::filesystem::path weights;
  Bytes file_size;
  std::string sha256;  ///< of the weight file

  /// Tells one version of a network from another of the same name: pictures that have begun with one end with it.
  [[nodiscard]] std::string id() const { return name + "@" + sha256 + (local_window ? "@local" : ""); }

  /// Context around a tile that makes its inner part equal the whole picture's, rounded up to the multiple.
  /// 0 for global networks: no halo can do that, tiles are blended instead.
  [[nodiscard]] int halo() const noexcept {
    if (!receptive_field) return 0;
    return (*receptive_field + multiple - 1) / multiple * multiple;
  }
  /// Channels of the input tensor: the colour picture's, then the companion's.
  [[nodiscard]] int input_channels() const noexcept {
    return channels + (companion == Companion::kDepth ? 1 : companion == Companion::kRightView ? channels : 0);
  }
  [[nodiscard]] int output_channels() const noexcept { return companion == Companion::kDepth ? 1 : channels; }
};

}  // namespace retouchd::inference
