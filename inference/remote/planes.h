#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <span>

#include "inference/device.h"
#include "inference/network_info.h"
#include "inference/remote/inference_protocol.h"

namespace retouchd::inference {

// Between windows and the planes [N, C, H, W] of a model server's tensors.

/// The windows one after the other, each plane of `tensor` pixels, padded at the right and below by reflection. One matrix of
/// places * channels * height rows; its memory is PixelPool's.
[[nodiscard]] cv::Mat to_planes(const NetworkInfo& network, NumberType type, cv::Size tensor, std::span<const Window> windows);

/// The numbers that came back for one place, at any address.
struct PlaceResult {
  const std::uint8_t* numbers = nullptr;  ///< [C, H, W], complete
  NumberType type = NumberType::kFp32;
  cv::Size size;  ///< of a plane
};

/// The window's own part of its places' results, as Device::restore() returns it. Its memory is PixelPool's.
[[nodiscard]] Restored from_planes(const NetworkInfo& network, std::span<const PlaceResult> places, const Window& window);

}  // namespace retouchd::inference
