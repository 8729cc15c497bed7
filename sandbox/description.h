#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "image/picture.h"

/// A picture without its pixels as bytes: sizes, types and places of its planes, metadata, provenance, pages.
namespace retouchd::sandbox {

/// Where the planes of a picture lie in the memory that goes with its description.
using OffsetOf = std::function<std::uint64_t(const cv::Mat& plane)>;
[[nodiscard]] std::vector<std::uint8_t> describe(const image::Picture& picture, const OffsetOf& offset_of);

/// A plane at `offset`, or an empty one when it would not lie inside the memory.
using PlaneAt = std::function<cv::Mat(std::uint64_t offset, cv::Size size, int type)>;
/// The reverse, of bytes that anybody may have made: kInternal with the reason when they describe no picture. Memory that is
/// taken is bounded by `bytes`. Threads: safe.
[[nodiscard]] Result<image::Picture> picture_from(std::span<const std::uint8_t> bytes, const PlaneAt& plane_at);

/// The most that a description takes when each page may have `metadata` bytes of each kind.
[[nodiscard]] Bytes most_described(Bytes metadata, int pages) noexcept;

}  // namespace retouchd::sandbox
