// Which forward passes are recorded, kept and dropped, with a backend that records on the CPU.
#include "inference/graph_cache.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <deque>
#include <stdexcept>

namespace retouchd::inference {
namespace {

constexpr std::uint64_t kHeld = 1000;

/// What the tests see of a backend, which the cache owns.
struct Seen {
  int recordings = 0;
  int replays = 0;
  int alive = 0;
  float factor = 2.0F;                  ///< of what is recorded next
  std::function<void()> fails = [] {};  ///< called when something is recorded
};

class Doubled final : public RecordedForward {
 public:
  explicit Doubled(Seen& seen) : seen_(seen), factor_(seen.factor) { ++seen_.alive; }
  ~Doubled() override { --seen_.alive; }
  at::Tensor replay(const at::Tensor& input) override {
    ++seen_.replays;
    return input * factor_;
  }
  [[nodiscard]] Bytes held() const override { return Bytes{kHeld}; }

 private:
  Seen& seen_;
  const float factor_;
};

class FakeBackend final : public GraphBackend {
 public:
  explicit FakeBackend(Seen& seen) : seen_(seen) {}
  std::unique_ptr<RecordedForward> record(const at::Tensor& input, const Forward& forward) override {
    ++seen_.recordings;
    seen_.fails();
    static_cast<void>(forward(input));
    return std::make_unique<Doubled>(seen_);
  }

 private:
  Seen& seen_;
};

class GraphCacheTest : public testing::Test {
 protected:
  static GraphCache::Limits few() {
    GraphCache::Limits limits;
    limits.passes = 2;
    limits.idle_runs = 5;
    return limits;
  }
  GraphCache cache(const GraphCache::Limits& limits = {}) { return {"fake:0", std::make_unique<FakeBackend>(seen_), limits}; }

  /// Runs a network that doubles, and expects that it does.
  void run(GraphCache& cache, const std::string& network = "mine@1", std::int64_t side = 8, int times = 1) {
    for (int i = 0; i < times; ++i) {
      const at::Tensor input = at::full({1, side, side, 3}, 0.25 * static_cast<double>(++pictures_));
      const at::Tensor output = cache.run(network, input, [this](const at::Tensor& picture) {
        ++eager_;
        return picture * 2;
      });
      ASSERT_TRUE(at::equal(output, input * 2));
    }
  }

  Seen seen_;
  int eager_ = 0;  ///< forward passes, those that were recorded included
  int pictures_ = 0;
};

TEST_F(GraphCacheTest, AShapeThatRecursIsRecordedAtItsThirdRunAndReplayedAfterwards) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 2);
  EXPECT_EQ(seen_.recordings, 0);
  run(cache);
  EXPECT_EQ(seen_.recordings, 1);
  EXPECT_EQ(cache.held(), Bytes{kHeld});
  const int before = eager_;
  seen_.replays = 0;
  run(cache, "mine@1", 8, 4);
  EXPECT_EQ(seen_.replays, 4);
  EXPECT_EQ(eager_, before);
  EXPECT_EQ(seen_.recordings, 1);
}

TEST_F(GraphCacheTest, NetworksAndShapesAreRecordedEachOnItsOwn) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 3);
  run(cache, "other@1", 8, 2);
  run(cache, "mine@1", 16, 2);
  EXPECT_EQ(seen_.recordings, 1);
  run(cache, "other@1", 8);
  run(cache, "mine@1", 16);
  EXPECT_EQ(seen_.recordings, 3);
  EXPECT_EQ(cache.held(), Bytes{3 * kHeld});
}

TEST_F(GraphCacheTest, ANetworkThatCannotBeRecordedRunsEagerlyFromThenOn) {
  GraphCache cache = this->cache();
  seen_.fails = [] { throw std::runtime_error("operation not permitted when stream is capturing"); };
  run(cache, "waits@1", 8, 9);
  run(cache, "waits@1", 16, 9);
  EXPECT_EQ(seen_.recordings, 1);
  EXPECT_EQ(eager_, 18);
  seen_.fails = [] {};
  run(cache, "mine@1", 8, 4);
  EXPECT_EQ(seen_.recordings, 2);
  EXPECT_EQ(cache.held(), Bytes{kHeld});
}

TEST_F(GraphCacheTest, ARecordedPassThatComputesSomethingElseIsThrownAway) {
  GraphCache cache = this->cache();
  seen_.factor = 2.1F;
  run(cache, "mine@1", 8, 9);
  EXPECT_EQ(seen_.recordings, 1);
  EXPECT_EQ(seen_.alive, 0);
  EXPECT_EQ(cache.held(), Bytes{0});
}

TEST_F(GraphCacheTest, ANetworkThatComputesNotANumberIsRecordedAllTheSame) {
  GraphCache cache = this->cache();
  const at::Tensor input = at::full({1, 8, 8, 3}, std::numeric_limits<double>::quiet_NaN());
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(cache.run("mine@1", input, [](const at::Tensor& picture) { return picture * 2; }).isnan().all().item<bool>());
  EXPECT_EQ(seen_.replays, 2);
}

TEST_F(GraphCacheTest, MemoryThatRunsOutWhileRecordingIsGivenBackByAllNetworks) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 3);
  seen_.fails = [] { TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory"); };
  run(cache, "large@1", 64, 9);
  EXPECT_EQ(seen_.recordings, 2);
  EXPECT_EQ(seen_.alive, 0);
  EXPECT_EQ(cache.held(), Bytes{0});
  seen_.fails = [] {};
  run(cache, "mine@1", 8, 3);
  EXPECT_EQ(seen_.alive, 1);
  run(cache, "large@1", 64, 9);
  EXPECT_EQ(seen_.recordings, 3);
}

TEST_F(GraphCacheTest, MemoryThatRunsOutWhileComputingIsTheCallersAffair) {
  GraphCache cache = this->cache();
  const auto full = [](const at::Tensor&) -> at::Tensor { TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory"); };
  EXPECT_THROW(static_cast<void>(cache.run("mine@1", at::ones({1, 8, 8, 3}), full)), c10::OutOfMemoryError);
  run(cache, "mine@1", 8, 3);
  EXPECT_EQ(seen_.alive, 1);
}

TEST_F(GraphCacheTest, APassThatIdlesMakesRoomForOneThatRecurs) {
  GraphCache cache = this->cache(few());
  run(cache, "mine@1", 8, 3);
  run(cache, "mine@1", 16, 3);
  EXPECT_EQ(seen_.alive, 2);
  run(cache, "mine@1", 24, 4);
  EXPECT_EQ(seen_.alive, 2);
  EXPECT_EQ(seen_.recordings, 3);
  seen_.replays = 0;
  run(cache, "mine@1", 16);
  run(cache, "mine@1", 24);
  EXPECT_EQ(seen_.replays, 2);
  run(cache, "mine@1", 8);  // it was used before the others
  EXPECT_EQ(seen_.replays, 2);
}

TEST_F(GraphCacheTest, PassesInUseKeepTheirPlaces) {
  GraphCache cache = this->cache(few());
  for (int i = 0; i < 12; ++i) {
    for (const std::int64_t side : {8, 16, 24}) run(cache, "mine@1", side);
  }
  EXPECT_EQ(seen_.recordings, 2);
  seen_.replays = 0;
  run(cache, "mine@1", 8);
  run(cache, "mine@1", 16);
  EXPECT_EQ(seen_.replays, 2);
}

TEST_F(GraphCacheTest, RareShapesAreForgotten) {
  GraphCache::Limits limits;
  limits.shapes = 2;
  GraphCache cache = this->cache(limits);
  run(cache, "mine@1", 8, 2);
  run(cache, "mine@1", 16);
  run(cache, "mine@1", 24);
  run(cache, "mine@1", 8, 2);
  EXPECT_EQ(seen_.recordings, 0);
  run(cache, "mine@1", 8);
  EXPECT_EQ(seen_.recordings, 1);
}

TEST_F(GraphCacheTest, ANetworkIsForgottenWithItsWeights) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 3);
  run(cache, "mine@1", 16, 3);
  run(cache, "mine@2", 8, 3);
  cache.forget("mine@1");
  EXPECT_EQ(seen_.alive, 1);
  EXPECT_EQ(cache.held(), Bytes{kHeld});
  run(cache, "mine@1", 8, 2);
  EXPECT_EQ(seen_.alive, 1);
  run(cache, "mine@1", 8);
  EXPECT_EQ(seen_.alive, 2);
}

TEST_F(GraphCacheTest, WhatWasReleasedIsRecordedAgainWhenItRecurs) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 5);
  cache.release();
  EXPECT_EQ(seen_.alive, 0);
  EXPECT_EQ(cache.held(), Bytes{0});
  run(cache, "mine@1", 8, 3);
  EXPECT_EQ(seen_.alive, 1);
}

TEST_F(GraphCacheTest, NothingIsRecordedAfterGivingUp) {
  GraphCache cache = this->cache();
  run(cache, "mine@1", 8, 5);
  cache.give_up("its memory ran out");
  EXPECT_EQ(seen_.alive, 0);
  run(cache, "mine@1", 8, 9);
  run(cache, "other@1", 8, 9);
  EXPECT_EQ(seen_.recordings, 1);
  EXPECT_EQ(cache.held(), Bytes{0});
}

}  // namespace
}  // namespace retouchd::inference
