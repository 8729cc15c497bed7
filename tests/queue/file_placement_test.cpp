#include "queue/file_placement.h"

#include <atomic>
#include <thread>

#include "store_fixture.h"

namespace retouchd::queue {
namespace {

TEST(FilePlacement, WritesWhileOthersRemoveTheEmptyFolder) {
  const TemporaryFolder folder;
  constexpr int kRounds = 500;
  std::atomic<int> failed{0};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        const auto temporary = unique_temporary_for(folder.path() / "a.jpg");
        if (!write_temporary(temporary, bytes_of("x"))) ++failed;
        remove_temporary(temporary);
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(failed, 0);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / kTemporaryFolder));
}

}  // namespace
}  // namespace retouchd::queue
