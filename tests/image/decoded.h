#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "image/codec.h"

namespace retouchd::image::testing {

/// The picture of a file that must be readable within the usual limits.
inline Picture decoded(const ByteVector& file) {
  auto picture = decode(file, DecodeLimits{});
  EXPECT_TRUE(picture.ok()) << picture.error().message;
  return picture.ok() ? *std::move(picture) : Picture{};
}

}  // namespace retouchd::image::testing
