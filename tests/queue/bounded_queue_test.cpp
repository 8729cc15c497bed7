#include "queue/bounded_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>

namespace retouchd::queue {

struct Parcel {
  int number = 0;
  std::uint64_t weight = 0;
};
Bytes bytes_of(const Parcel& parcel) { return {parcel.weight}; }

namespace {

TEST(BoundedQueue, HandsOutInOrderAndCountsBytes) {
  BoundedQueue<Parcel> queue("test", 4);
  for (int i = 1; i <= 3; ++i) {
    Parcel parcel{i, 100};
    ASSERT_TRUE(queue.push(parcel));
  }
  EXPECT_EQ(queue.depth(), 3U);
  EXPECT_EQ(queue.bytes(), Bytes{300});
  EXPECT_EQ(queue.pop()->number, 1);
  EXPECT_EQ(queue.pop()->number, 2);
  EXPECT_EQ(queue.bytes(), Bytes{100});
}

TEST(BoundedQueue, FullQueueHoldsTheProducerUntilThereIsRoom) {
  BoundedQueue<Parcel> queue("test", 1);
  Parcel first{1, 1};
  ASSERT_TRUE(queue.push(first));
  auto second = std::async(std::launch::async, [&] {
    Parcel parcel{2, 1};
    return queue.push(parcel);
  });
  EXPECT_EQ(queue.pop()->number, 1);  // only now can the second go in
  EXPECT_EQ(queue.pop()->number, 2);
  EXPECT_TRUE(second.get());
}

TEST(BoundedQueue, ClosedQueueRefusesNewItemsAndHandsOutOldOnes) {
  BoundedQueue<Parcel> queue("test", 2);
  Parcel kept{1, 1};
  ASSERT_TRUE(queue.push(kept));
  queue.close();
  Parcel refused{2, 1};
  EXPECT_FALSE(queue.push(refused));
  EXPECT_EQ(refused.number, 2);
  EXPECT_EQ(queue.pop()->number, 1);
  EXPECT_FALSE(queue.pop().has_value());
}

TEST(BoundedQueue, CloseWakesWaitingConsumersAndProducers) {
  BoundedQueue<Parcel> empty("empty", 1);
  BoundedQueue<Parcel> full("full", 1);
  Parcel filler{1, 1};
  ASSERT_TRUE(full.push(filler));
  auto consumer = std::async(std::launch::async, [&] { return empty.pop().has_value(); });
  auto producer = std::async(std::launch::async, [&] {
    Parcel parcel{2, 1};
    return full.push(parcel);
  });
  empty.close();
  full.close();
  EXPECT_FALSE(consumer.get());
  EXPECT_FALSE(producer.get());
}

TEST(BoundedQueue, NothingIsLostBetweenManyThreads) {
  BoundedQueue<Parcel> queue("test", 3);
  constexpr int kEach = 2000;
  std::atomic<long> sum = 0;
  {
    std::vector<std::jthread> consumers;
    for (int i = 0; i < 3; ++i) {
      consumers.emplace_back([&] {
        while (const auto parcel = queue.pop()) sum += parcel->number;
      });
    }
    {
      std::vector<std::jthread> producers;
      for (int i = 0; i < 3; ++i) {
        producers.emplace_back([&] {
          for (int n = 1; n <= kEach; ++n) {
            Parcel parcel{n, 8};
            ASSERT_TRUE(queue.push(parcel));
          }
        });
      }
    }
    queue.close();
  }
  EXPECT_EQ(sum, 3L * kEach * (kEach + 1) / 2);
  EXPECT_EQ(queue.bytes(), Bytes{0});
}

}  // namespace
}  // namespace retouchd::queue
