#include "cli/outcome.h"

#include <gtest/gtest.h>

namespace retouchd::cli {
namespace {

TEST(Outcome, IsTheCodeThatAllFailuresShareElseOne) {
  Outcome outcome;
  EXPECT_EQ(outcome.exit_code(), 0);
  outcome.fail(ErrorCode::kInputMissing);
  outcome.fail(ErrorCode::kInputEmpty);
  EXPECT_EQ(outcome.exit_code(), 3);
  outcome.fail(ErrorCode::kBusy);
  EXPECT_EQ(outcome.exit_code(), 1);
  outcome.fail(ErrorCode::kInputMissing);
  EXPECT_EQ(outcome.exit_code(), 1);
}

}  // namespace
}  // namespace retouchd::cli
