#include "tests/emulator/emulator.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <vector>

#include "inference/kernels/matrix.h"

namespace retouchd::emulator {
namespace {

using kernels::Bfloat16;
using kernels::Half;
using kernels::Thread;

/// [16, 16] times [16, 16]; either may be stored transposed.
template <typename T, bool kTransposedA, bool kTransposedB>
struct Product {
  struct Arguments {
    const T* a;
    const T* b;
    float* sum;
  };
  static constexpr int kThreads = 32;
  static constexpr int kPitch = kernels::pitch_for(16);
  static constexpr std::size_t kShared = 2 * 16 * kPitch * sizeof(T);

  static void run(const Thread& t, const Arguments& arguments) {
    T* const a = reinterpret_cast<T*>(t.shared());
    T* const b = a + 16 * kPitch;
    const int row = t.lane() / 2;
    const int column = t.lane() % 2 * 8;
    t.copy(a + row * kPitch + column, arguments.a + row * 16 + column, true);
    t.copy(b + row * kPitch + column, arguments.b + row * 16 + column, true);
    t.close_copies();
    t.wait_for_copies<0>();
    t.sync();
    std::uint32_t left[4];
    std::uint32_t right[4];
    if constexpr (kTransposedA) {
      load_a_transposed(t, left, a, kPitch, 0, 0);
    } else {
      load_a(t, left, a, kPitch, 0, 0);
    }
    if constexpr (kTransposedB) {
      load_b_transposed(t, right, b, kPitch, 0, 0);
    } else {
      load_b(t, right, b, kPitch, 0, 0);
    }
    for (int half = 0; half < 2; ++half) {
      float sum[4] = {};
      kernels::multiply<T>(t, sum, left, right[2 * half], right[2 * half + 1]);
      for (int i = 0; i < 4; ++i) arguments.sum[(t.lane() / 4 + i / 2 * 8) * 16 + 8 * half + 2 * (t.lane() % 4) + i % 2] = sum[i];
    }
  }
};

template <typename T, bool kTransposedA, bool kTransposedB>
void expect_exact_product() {
  std::vector<T> a(256);
  std::vector<T> b(256);
  std::vector<float> sum(256);
  const auto left = [](int row, int k) { return static_cast<float>((row * 37 + k * 11) % 19 - 9); };
  const auto right = [](int k, int column) { return static_cast<float>((k * 53 + column * 7) % 23 - 11); };
  for (int i = 0; i < 16; ++i) {
    for (int k = 0; k < 16; ++k) {
      a[static_cast<std::size_t>(kTransposedA ? k * 16 + i : i * 16 + k)] = kernels::from_float<T>(left(i, k));
      b[static_cast<std::size_t>(kTransposedB ? k * 16 + i : i * 16 + k)] = kernels::from_float<T>(right(k, i));
    }
  }
  emulate<Product<T, kTransposedA, kTransposedB>>({}, {a.data(), b.data(), sum.data()});
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      float expected = 0;
      for (int k = 0; k < 16; ++k) expected += left(i, k) * right(k, j);
      ASSERT_EQ(sum[static_cast<std::size_t>(i * 16 + j)], expected) << i << ", " << j;
    }
  }
}

TEST(Emulator, MultipliesMatricesInAnyLayout) {
  expect_exact_product<Half, false, false>();
  expect_exact_product<Half, true, false>();
  expect_exact_product<Bfloat16, false, true>();
  expect_exact_product<Bfloat16, true, true>();
}

TEST(Emulator, MultipliesSignedBytes) {
  std::vector<std::int32_t> sums(16 * 8);
  emulate({}, 32, 16, 1, [&](const Thread& t) {
    const auto word = [](int a, int b, int c, int d) {
      const auto byte = [](int value) { return static_cast<std::uint32_t>(static_cast<std::uint8_t>(value)); };
      return byte(a) | byte(b) << 8U | byte(c) << 16U | byte(d) << 24U;
    };
    // a[row][k] = row - 8 for k = 5, else 0; b[k][column] = -column for k = 5.
    const int row = t.lane() / 4;
    const bool holds = t.lane() % 4 == 1;  // columns 4 .. 7
    const std::uint32_t a[4] = {holds ? word(0, row - 8, 0, 0) : 0, holds ? word(0, row, 0, 0) : 0, 0, 0};
    const std::uint32_t b0 = holds ? word(0, -row, 0, 0) : 0;
    std::int32_t sum[4] = {};
    kernels::multiply_bytes(t, sum, a, b0, 0);
    for (int i = 0; i < 4; ++i) sums[static_cast<std::size_t>((row + i / 2 * 8) * 8 + 2 * (t.lane() % 4) + i % 2)] = sum[i];
  });
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column)
      ASSERT_EQ(sums[static_cast<std::size_t>(row * 8 + column)], (row - 8) * -column) << row << ", " << column;
  }
}

TEST(Emulator, SumsOverAWarp) {
  std::vector<float> sums(64);
  emulate({}, 64, 16, 1, [&](const Thread& t) {
    sums[static_cast<std::size_t>(t.index())] = kernels::sum_of_warp(t, static_cast<float>(t.index()));
  });
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(sums[i], i < 32 ? 496 : 1520);
}

TEST(Emulator, SharedMemoryStartsAsNaN) {
  bool is_nan = false;
  emulate({}, 32, 64, 1, [&](const Thread& t) {
    if (t.index() == 0) is_nan = std::isnan(kernels::to_float(*reinterpret_cast<Half*>(t.shared())));
  });
  EXPECT_TRUE(is_nan);
}

TEST(Emulator, CopiesArriveAtOnceOrWhenTheyAreWaitedFor) {
  std::vector<Half> from(8, kernels::from_float<Half>(3));
  std::vector<float> seen(2);
  const auto look = [&](const Thread& t) {
    const auto* number = reinterpret_cast<const Half*>(t.shared());
    if (t.index() == 0) t.copy(t.shared(), from.data(), true);
    t.close_copies();
    if (t.index() == 0) seen[0] = kernels::to_float(*number);
    t.wait_for_copies<0>();
    if (t.index() == 0) seen[1] = kernels::to_float(*number);
  };
  emulate({}, 32, 64, 1, look);
  EXPECT_TRUE(std::isnan(seen[0]));
  EXPECT_EQ(seen[1], 3);
  emulate({}, 32, 64, 2, look);
  EXPECT_EQ(seen[0], 3);
}

#if defined(__SANITIZE_THREAD__)
/// Runs `body` in a process of its own, which ThreadSanitizer ends with 66 where it found a race.
void expect_race(const std::function<void(const Thread&)>& body, int status) {
  EXPECT_EXIT(
      {
        emulate({}, 64, 256, 1, body);
        std::exit(0);
      },
      testing::ExitedWithCode(status), status == 0 ? "" : "data race");
}

TEST(Emulator, TellsThreadSanitizerWhatOrdersLanes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // what is forked beside other fibers ThreadSanitizer does not look at
  int seen = 0;
  const auto at = [](const Thread& t, int index) -> int& { return reinterpret_cast<int*>(t.shared())[index]; };
  const auto written_then_read = [&](const auto& meet) {
    return [&at, &seen, meet](const Thread& t) {
      at(t, t.index()) = 1;
      meet(t);
      const int read = at(t, t.index() ^ 1);
      if (t.index() == 0) seen = read;
    };
  };
  expect_race(written_then_read([](const Thread&) {}), 66);
  expect_race(written_then_read([](const Thread& t) { (void)t.exchange(1, 1); }), 66);
  expect_race(written_then_read([](const Thread& t) { t.sync_warp(); }), 0);
  expect_race(written_then_read([](const Thread& t) { t.sync(); }), 0);
  alignas(16) const std::array<std::byte, 16> from{};
  const auto copied_over_what_is_read = [&](bool waits) {
    return [&from, &at, &seen, waits](const Thread& t) {
      if (t.index() == 40) seen = at(t, 0);
      if (waits) t.sync();
      if (t.index() == 0) t.copy(t.shared(), from.data(), true);
      t.close_copies();
      t.sync();
      t.wait_for_copies<0>();
    };
  };
  expect_race(copied_over_what_is_read(false), 66);
  expect_race(copied_over_what_is_read(true), 0);
}
#else
// Race on purpose.

TEST(Emulator, AMissingBarrierOfAWarpShowsInTheResult) {
  const auto seen_of_neighbour = [](int neighbour) {
    bool all = true;
    for (std::uint32_t seed = 1; seed < 10; ++seed) {
      emulate({}, 32, 128, seed, [&](const Thread& t) {
        int* const numbers = reinterpret_cast<int*>(t.shared());
        numbers[t.lane()] = t.lane();
        if (t.lane() == 16) all = all && numbers[neighbour] == neighbour;
      });
    }
    return all;
  };
  EXPECT_FALSE(seen_of_neighbour(15));
  EXPECT_FALSE(seen_of_neighbour(17));
}

TEST(Emulator, AMissingBarrierShowsInTheResult) {
  const auto last_warp_seen = [](std::uint32_t seed) {
    int seen = -1;
    emulate({}, 256, 16, seed, [&](const Thread& t) {
      *reinterpret_cast<int*>(t.shared()) = t.warp();
      t.sync();
      seen = *reinterpret_cast<int*>(t.shared());
    });
    return seen;
  };
  bool differs = false;
  for (std::uint32_t seed = 2; seed < 10; ++seed) differs = differs || last_warp_seen(seed) != last_warp_seen(1);
  EXPECT_TRUE(differs);
}
#endif

TEST(Emulator, NamesThreadsThatWaitForEver) {
  EXPECT_THROW(emulate({}, 64, 16, 1,
                       [](const Thread& t) {
                         if (t.warp() == 0) t.sync();
                       }),
               std::logic_error);
  EXPECT_THROW(emulate({}, 32, 16, 1,
                       [](const Thread& t) {
                         if (t.lane() == 0) t.sync_warp();
                       }),
               std::logic_error);
}

TEST(Emulator, RefusesWrongAddresses) {
  EXPECT_THROW(emulate({}, 32, 64, 1, [](const Thread& t) { (void)kernels::load_vector(t.shared() + 8); }), std::logic_error);
  EXPECT_THROW(emulate({}, 32, 64, 1,
                       [](const Thread& t) {
                         if (t.index() == 0) t.shared()[64] = std::byte{0};
                       }),
               std::logic_error);
}

TEST(Number16, RoundsToNearestEven) {
  using kernels::from_float;
  using kernels::to_float;
  EXPECT_EQ(from_float<Half>(1.0F).bits, 0x3c00);
  EXPECT_EQ(from_float<Half>(65504.0F).bits, 0x7bff);
  EXPECT_EQ(from_float<Half>(65520.0F).bits, 0x7c00);
  EXPECT_EQ(from_float<Half>(1.0F + 1.0F / 2048).bits, 0x3c00);
  EXPECT_EQ(from_float<Half>(1.0F + 3.0F / 2048).bits, 0x3c02);
  EXPECT_EQ(from_float<Half>(std::ldexp(1.0F, -24)).bits, 1);
  EXPECT_EQ(from_float<Half>(std::ldexp(1.0F, -25)).bits, 0);
  EXPECT_EQ(from_float<Bfloat16>(1.0F + 1.0F / 256).bits, 0x3f80);
  EXPECT_EQ(from_float<Bfloat16>(1.0F + 3.0F / 256).bits, 0x3f82);
  for (int bits = 0; bits < 0x7c00; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    ASSERT_EQ(from_float<Half>(to_float(half)).bits, half.bits);
  }
  EXPECT_TRUE(std::isnan(to_float(from_float<Half>(std::nanf("")))));
  EXPECT_TRUE(std::isnan(to_float(from_float<Bfloat16>(std::nanf("")))));
}

}  // namespace
}  // namespace retouchd::emulator
