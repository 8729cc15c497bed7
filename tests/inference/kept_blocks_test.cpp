#include "inference/kept_blocks.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

namespace retouchd::inference {
namespace {

/// A system with this much memory.
std::size_t system_has = 0;

void* allocate(std::size_t bytes) {
  if (bytes > system_has) throw std::bad_alloc();
  void* block = std::malloc(bytes + sizeof bytes);
  *static_cast<std::size_t*>(block) = bytes;
  system_has -= bytes;
  return block;
}

void free_block(void* block) {
  system_has += *static_cast<std::size_t*>(block);
  std::free(block);
}

TEST(KeptBlocks, HandOutTheSameBlockAgain) {
  system_has = 1000;
  KeptBlocks blocks({&allocate, &free_block});
  void* first = blocks.take(640);
  blocks.give_back(first, 640);
  EXPECT_EQ(blocks.kept(), 640U);
  EXPECT_EQ(blocks.take(640), first);
  EXPECT_EQ(blocks.kept(), 0U);
  blocks.give_back(first, 640);
  blocks.trim();
  EXPECT_EQ(system_has, 1000U);
}

TEST(KeptBlocks, ABlockServesForSizesDownToItsHalf) {
  system_has = 100'000;
  KeptBlocks blocks({&allocate, &free_block});
  void* large = blocks.take(10'000);
  blocks.give_back(large, 10'000);
  EXPECT_EQ(blocks.take(9'700), large) << "nearly the same size";
  EXPECT_EQ(blocks.in_use(), 9'700U) << "accounts are of what was asked for";
  blocks.give_back(large, 9'700);
  EXPECT_EQ(blocks.take(5'500), large);
  blocks.give_back(large, 5'500);
  void* small = blocks.take(2'000);
  EXPECT_NE(small, large) << "too large a block for so little";
  blocks.give_back(small, 2'000);
  blocks.trim();
  EXPECT_EQ(system_has, 100'000U);
}

TEST(KeptBlocks, GiveBackWhatIsKeptBeforeTheyFail) {
  system_has = 1000;
  KeptBlocks blocks({&allocate, &free_block});
  void* kept = blocks.take(600);
  blocks.give_back(kept, 600);
  void* other = blocks.take(700);
  EXPECT_EQ(blocks.in_use(), 700U);
  EXPECT_EQ(blocks.kept(), 0U);
  EXPECT_THROW((void)blocks.take(400), std::bad_alloc);
  EXPECT_EQ(blocks.in_use(), 700U);
  blocks.give_back(other, 700);
  blocks.trim();
  EXPECT_EQ(system_has, 1000U);
}

TEST(KeptBlocks, APeakIsTheMostSinceItBegan) {
  system_has = 10'000;
  KeptBlocks blocks({&allocate, &free_block});
  void* before = blocks.take(5000);
  void* base = blocks.take(100);
  blocks.give_back(before, 5000);
  EXPECT_EQ(blocks.begin_peak(), 100U);
  void* more = blocks.take(300);
  blocks.give_back(more, 300);
  EXPECT_EQ(blocks.peak(), 400U);
  blocks.give_back(blocks.take(900, true), 900);
  EXPECT_EQ(blocks.peak(), 400U) << "threads count with what they say";
  blocks.raise_beside(50);
  blocks.raise_beside(30);
  EXPECT_EQ(blocks.peak(), 450U);
  blocks.give_back(base, 100);
  blocks.trim();
}

}  // namespace
}  // namespace retouchd::inference
