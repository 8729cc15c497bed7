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
    EXPECT_LE(cache.in_use() + cache.kept(), cache.most_in_use());
  }
}

TEST(TensorCache, CountsRightWithManyThreads) {
  TensorCache& cache = TensorCache::instance();
  const std::size_t before = cache.in_use();
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
  EXPECT_EQ(cache.in_use(), before);
}

}  // namespace
}  // namespace retouchd::inference
