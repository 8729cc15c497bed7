#include "inference/weights/weight_cast.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

namespace retouchd::inference {
namespace {

template <class T>
std::vector<std::uint8_t> bytes_of(const std::vector<T>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T>
std::vector<T> values_of(const WeightFile& file, const std::string& name) {
  const auto& entry = file.header.tensors.at(name);
  std::vector<T> values((entry.end - entry.begin) / sizeof(T));
  std::memcpy(values.data(), file.data.data() + entry.begin, values.size() * sizeof(T));
  return values;
}

WeightFile one(const std::string& dtype, std::int64_t count, std::vector<std::uint8_t> bytes) {
  WeightFile file;
  file.header.tensors["w"] = {dtype, {count}, 0, bytes.size()};
  file.data = std::move(bytes);
  return file;
}

TEST(WeightCast, EveryHalfAndBfloat16SurvivesTheWayThroughFloat) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float half = float_from_half(bits);
    const float wide = float_from_bfloat16(bits);
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(half))));
    } else {
      ASSERT_EQ(half, static_cast<float>(c10::Half(bits, c10::Half::from_bits()))) << i;
      ASSERT_EQ(half_from_float(half), bits);
    }
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(float_from_bfloat16(bfloat16_from_float(wide))));
    } else {
      ASSERT_EQ(bfloat16_from_float(wide), bits);
    }
  }
}

TEST(WeightCast, RoundsAsPyTorchDoes) {
  std::mt19937 random(7);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isnan(value)) continue;
    ASSERT_EQ(half_from_float(value), c10::Half(value).x) << value;
    ASSERT_EQ(bfloat16_from_float(value), c10::BFloat16(value).x) << value;
  }
  // Ties, the smallest, and the largest.
  for (const float value : {1.00048828125F, 1.00146484375F, 0x1p-25F, 0x1.8p-25F, 0x1p-24F, 65519.996F, 65520.0F, 0.0F, -0.0F}) {
    EXPECT_EQ(half_from_float(value), c10::Half(value).x) << value;
  }
}

TEST(WeightCast, ConvertsFloatingNumbersOnly) {
  WeightFile file;
  file.header.tensors["index"] = {"I32", {1}, 0, 4};
  file.header.tensors["weight"] = {"F64", {2}, 4, 20};
  file.data = bytes_of(std::vector<std::int32_t>{7});
  const auto doubles = bytes_of(std::vector<double>{0.1, -2});
  file.data.insert(file.data.end(), doubles.begin(), doubles.end());
  const auto cast = cast_weights(file, "F32");
  ASSERT_TRUE(cast) << cast.error().message;
  EXPECT_EQ(cast->header.tensors.at("index").dtype, "I32");
  EXPECT_EQ(values_of<std::int32_t>(*cast, "index"), std::vector<std::int32_t>{7});
  EXPECT_EQ(values_of<float>(*cast, "weight"), (std::vector<float>{0.1F, -2}));
}

TEST(WeightCast, NumbersThatDoNotFitAreNamed) {
  const auto cast = cast_weights(one("F32", 2, bytes_of(std::vector<float>{1, 70000})), "F16");
  ASSERT_FALSE(cast);
  EXPECT_EQ(cast.error().code, ErrorCode::kBadWeights);
  EXPECT_THAT(cast.error().message, testing::HasSubstr("tensor `w`"));
  EXPECT_TRUE(cast_weights(one("F32", 2, bytes_of(std::vector<float>{1, 70000})), "BF16"));
  EXPECT_FALSE(cast_weights(one("F64", 1, bytes_of(std::vector<double>{1e300})), "F32"));
  const auto infinite = cast_weights(one("F32", 1, bytes_of(std::vector<float>{std::numeric_limits<float>::infinity()})), "F16");
  ASSERT_TRUE(infinite) << "it was infinite before";
}

}  // namespace
}  // namespace retouchd::inference
