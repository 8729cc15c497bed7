#include "inference/tensor_cache.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace retouchd::inference {
namespace {

TEST(TensorCache, HandsTheSameMemoryOutAgain) {
  TensorCache& cache = TensorCache::instance();
  c10::DataPtr first = cache.allocate(1'000'003);
  void* const place = first.get();
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(place) % 64, 0U);
  first.clear();
  EXPECT_EQ(cache.allocate(1'000'003).get(), place);
}

TEST(TensorCache, AnEmptyTensorNeedsNoMemory) {
  const c10::DataPtr nothing = TensorCache::instance().allocate(0);
  EXPECT_EQ(nothing.get(), nullptr);
}

TEST(TensorCache, ChangingSizesDoNotMakeItGrow) {
  TensorCache& cache = TensorCache::instance();
  for (std::size_t round = 1; round <= 200; ++round) {
    std::vector<c10::DataPtr> batch;
    for (std::size_t i = 0; i < 4; ++i) batch.push_back(cache.allocate(10'000 * (round % 17 + 1) + i));
    batch.clear();
    EXPECT_LE(cache.blocks().in_use() + cache.blocks().kept(), cache.blocks().most_in_use());
  }
}

TEST(TensorCache, CountsRightWithManyThreads) {
  TensorCache& cache = TensorCache::instance();
  const std::size_t before = cache.blocks().in_use();
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&cache, t] {
        for (std::size_t i = 0; i < 2000; ++i) {
          const c10::DataPtr block = cache.allocate(1 + (i * 7 + t) % 50 * 100);
          *static_cast<char*>(block.get()) = static_cast<char>(t);
          EXPECT_EQ(*static_cast<char*>(block.get()), static_cast<char>(t));
        }
      });
    }
  }
  EXPECT_EQ(cache.blocks().in_use(), before);
}

TEST(TensorCache, AThreadsPeakIsWhatItTookItself) {
  TensorCache& cache = TensorCache::instance();
  const TensorCache::ThreadPeak peak;
  std::jthread([&cache] { (void)cache.allocate(50'000); }).join();
  (void)cache.allocate(3000);
  {
    const c10::DataPtr first = cache.allocate(2000);
    const c10::DataPtr second = cache.allocate(1500);
  }
  EXPECT_EQ(peak.bytes(), 3500U);
}

TEST(TensorCache, AHopelessSizeIsAnErrorAndLeavesTheAccountRight) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer ends the process";
#endif
  TensorCache& cache = TensorCache::instance();
  const std::size_t before = cache.blocks().in_use();
  EXPECT_THROW((void)cache.allocate(std::size_t{1} << 50U), c10::OutOfMemoryError);
  EXPECT_EQ(cache.blocks().in_use(), before);
  EXPECT_LT(cache.blocks().most_in_use(), std::size_t{1} << 49U);
}

}  // namespace
}  // namespace retouchd::inference
