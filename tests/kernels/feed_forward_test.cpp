#include "inference/kernels/feed_forward.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "tests/emulator/launcher.h"
#include "tests/kernels/feed_forward_cases.h"

namespace retouchd::kernels {
namespace {

using reference::error_of_feed_forward;
using reference::feed_forward_cases;
using reference::FeedForwardCase;

void run(const FeedForwardCall& call) { ASSERT_EQ(dispatch_feed_forward(call, emulator::Launcher()), nullptr); }

TEST(FeedForward, IsTheReferenceInHalf) {
  for (const FeedForwardCase& c : feed_forward_cases()) EXPECT_LT(error_of_feed_forward<Half>(c, run), 1e-3) << c;
}

TEST(FeedForward, IsTheReferenceInBfloat16) {
  for (const FeedForwardCase& c : feed_forward_cases()) EXPECT_LT(error_of_feed_forward<Bfloat16>(c, run), 8e-3) << c;
}

TEST(FeedForward, IsNearTheReferenceWithBytes) {
  for (FeedForwardCase c : feed_forward_cases()) {
    c.bytes = true;
    EXPECT_LT(error_of_feed_forward<Bfloat16>(c, run), 2e-2) << c;
  }
}

TEST(FeedForward, DoesNotDependOnTheOrderOfItsWarps) {
  const auto error_with = [](std::uint32_t seed) {
    return error_of_feed_forward<Half>(feed_forward_cases()[1], [seed](const FeedForwardCall& call) {
      ASSERT_EQ(dispatch_feed_forward(call, emulator::Launcher(seed)), nullptr);
    });
  };
  const double first = error_with(1);
  for (std::uint32_t seed = 2; seed < 8; ++seed) EXPECT_EQ(error_with(seed), first);
}

TEST(FeedForward, RefusesWhatItCannotDo) {
  FeedForwardCall call;
  std::array<float, 4> memory{};
  EXPECT_NE(dispatch_feed_forward(call, emulator::Launcher()), nullptr);
  call.map = {1, 1, 1};
  call.channels = 48;
  call.hidden = 32;
  call.in = call.expand = call.depthwise = call.contract = call.out = memory.data();
  EXPECT_EQ(dispatch_feed_forward(call, emulator::Launcher()), std::string("feed_forward: the output may not be the input"));
  call.out = memory.data() + 1;
  call.hidden = 40;
  EXPECT_EQ(dispatch_feed_forward(call, emulator::Launcher()), std::string("feed_forward: hidden is no multiple of 32"));
  call.hidden = 32;
  call.map.pictures = 65536;
  EXPECT_EQ(dispatch_feed_forward(call, emulator::Launcher()), std::string("feed_forward: more than 65535 pictures"));
  call.map.pictures = 1;
  call.channels = 64;
  EXPECT_EQ(dispatch_feed_forward(call, emulator::Launcher()),
            std::string("feed_forward: there is no kernel for this number of channels"));
  call.channels = 192;
  EXPECT_EQ(dispatch_feed_forward(call, emulator::Launcher(1, 99 << 10)),
            std::string("feed_forward: the device has too little shared memory"));
}

}  // namespace
}  // namespace retouchd::kernels
