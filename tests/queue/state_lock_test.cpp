#include "queue/state_lock.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

TEST(StateLock, LetsOneHolderIn) {
  const TemporaryFolder folder;
  auto first = StateLock::acquire(folder.path());
  ASSERT_TRUE(first) << first.error().message;
  const auto second = StateLock::acquire(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
  EXPECT_THAT(second.error().message, testing::HasSubstr(folder.path().string()));
  EXPECT_THAT(second.error().message, testing::HasSubstr("process " + std::to_string(::getpid())));
}

TEST(StateLock, IsFreeWhenItsHolderGoes) {
  const TemporaryFolder folder;
  { ASSERT_TRUE(StateLock::acquire(folder.path())); }
  EXPECT_TRUE(StateLock::acquire(folder.path()));
}

TEST(StateLock, IsFreeWhenItsProcessIsKilled) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto lock = StateLock::acquire(folder.path());
    const char said = lock ? 'y' : 'n';
    if (::write(ready[1], &said, 1) == 1) ::pause();
    ::_exit(1);
  }
  char said = 0;
  ASSERT_EQ(::read(ready[0], &said, 1), 1);
  EXPECT_EQ(said, 'y');
  EXPECT_FALSE(StateLock::acquire(folder.path()));
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(StateLock::acquire(folder.path()));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(StateLock, NamesAFolderThatIsNotThere) {
  const auto refused = StateLock::acquire("/nonexistent/state");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kStoreFailed);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("/nonexistent/state/lock"));
}

}  // namespace
}  // namespace retouchd::queue
