#include "base/units.h"

#include <gtest/gtest.h>

namespace retouchd {
namespace {

TEST(Bytes, AreWrittenForPeople) {
  EXPECT_EQ(to_string(Bytes{512}), "512 B");
  EXPECT_EQ(to_string(kibibytes(1536)), "1.5 MiB");
  EXPECT_EQ(to_string(gibibytes(4)), "4 GiB");
}

TEST(Bytes, StopAtZeroInsteadOfWrapping) { EXPECT_EQ(Bytes{3} - Bytes{5}, Bytes{0}); }

}  // namespace
}  // namespace retouchd
