// kill -9 at any moment: a child accepts, claims and publishes until it is killed, again and again. Afterwards every accepted job
// must have ended exactly once, with exactly one whole output. RETOUCHD_KILLS sets how many children die, RETOUCHD_SEED repeats a
// run.

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "queue/file_placement.h"
#include "queue/publisher.h"
#include "queue/state_lock.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

/// What a job results in: other bytes for every try, as on a device whose sums depend on the batch.
std::vector<std::uint8_t> result_of(const Job& job) {
  std::string text = job.request.key + " epoch " + std::to_string(job.epoch) + " by " + std::to_string(::getpid());
  text.resize(20'000 + static_cast<std::size_t>(job.id % 7) * 9'000, '.');
  return bytes_of(text);
}

class KillTest : public StoreTest {
 protected:
  void SetUp() override {}

  std::unique_ptr<JobStore> opened(const std::string& boot) {
    auto store = open_sqlite_job_store({file_, boot, 1'000'000}, system_clock());
    return store ? std::move(*store) : nullptr;
  }

  /// The child: never returns.
  [[noreturn]] void work_until_killed(int round, int report) {
    auto lock = StateLock::acquire(folder_.path());
    if (!lock) ::_exit(2);
    auto store = opened("round-" + std::to_string(round));
    if (!store) ::_exit(3);
    const auto tell = [report](const std::string& line) {
      if (::write(report, line.data(), line.size()) < 0) ::_exit(4);
    };
    std::atomic<int> running{0};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 3; ++worker) {
      workers.emplace_back([&, worker] {
        Publisher publisher(*store);
        for (int i = 0;; ++i) {
          const std::string key = std::to_string(round) + "-" + std::to_string(worker) + "-" + std::to_string(i);
          if (!store->accept_and_wait(request(key))) ::_exit(5);
          tell("accepted " + key + "\n");
          const auto jobs = store->claim({.count = 1 + i % 2, .running = running});
          if (!jobs) ::_exit(6);
          running += static_cast<int>(jobs->size());
          for (const Job& job : *jobs) {
            if (job.epoch == 1 && job.id % 11 == 0) {
              if (!store->retry_at({job.id, job.epoch}, make_error(ErrorCode::kIoError, "no"), UnixMillis{}, true)) ::_exit(7);
            } else if (job.epoch == 1 && job.id % 13 == 0) {
              if (!store->hand_back({job.id, job.epoch})) ::_exit(8);
            } else if (job.epoch == 1 && job.id % 17 == 0) {
              if (!store->escalate({job.id, job.epoch}, "{}")) ::_exit(11);
              if (!store->take_back({job.id, job.epoch}, "{}", "/cloud/" + std::to_string(job.id), "{}")) ::_exit(12);
            } else {
              const auto data = result_of(job);
              if (!publisher.publish(job, job.request.output, writes(data))) ::_exit(9);
              tell("done " + std::to_string(job.id) + " " + sha256_hex(data) + "\n");
            }
            --running;
          }
        }
      });
    }
    for (auto& one : workers) one.join();
    ::_exit(10);
  }

  /// Starts a child and kills it after `lines` reports and `pause`.
  void kill_one(int round, int lines, std::chrono::microseconds pause) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      work_until_killed(round, pipe[1]);
    }
    ::close(pipe[1]);
    std::string said;
    char buffer[4096];
    bool killed = false;
    while (true) {
      const ssize_t got = ::read(pipe[0], buffer, sizeof buffer);
      if (got <= 0) break;
      said.append(buffer, static_cast<std::size_t>(got));
      if (!killed && std::count(said.begin(), said.end(), '\n') >= lines) {
        std::this_thread::sleep_for(pause);  // so that it dies between two reports as well
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the child ended by itself: " << WEXITSTATUS(status);
    std::istringstream words(said);
    for (std::string what, which; words >> what >> which;) {
      if (what == "accepted") accepted_.insert(which);
      if (what == "done") words >> done_[std::stoll(which)];
    }
  }

  std::set<std::string> accepted_;     // what the store answered "accepted" to
  std::map<JobId, std::string> done_;  // what it answered "done" to: sha256
};

TEST_F(KillTest, EndsEveryAcceptedJobOnceWithOneWholeOutput) {
  const int kills = number_from("RETOUCHD_KILLS", 25);
  const auto seed = static_cast<unsigned>(number_from("RETOUCHD_SEED", static_cast<int>(std::random_device{}() & 0xffffffU)));
  std::cout << kills << " kills, RETOUCHD_SEED=" << seed << std::endl;  // flushed: the children inherit it
  std::mt19937 random(seed);
  for (int round = 0; round < kills && !HasFatalFailure(); ++round) {
    const int lines = std::uniform_int_distribution(0, 60)(random);
    const std::chrono::microseconds pause(std::uniform_int_distribution(0, 4000)(random));
    kill_one(round, std::max(lines, 1), pause);
  }
  ASSERT_FALSE(HasFatalFailure());

  store_ = opened("last");
  ASSERT_TRUE(store_);
  accept("last");
  const auto away = *store_->list({.state = JobState::kEscalated, .origin = "", .after = 0, .limit = 1'000});
  for (const Job& one : away) {
    EXPECT_EQ(one.crashes, 0);
    EXPECT_TRUE(store_->take_back(claim_of(one), "{}", {}, "{}"));
  }
  Publisher publisher(*store_);
  int left = 0;
  while (store_->next_ready()) {
    for (const Job& one : claim(1, 0)) {
      ++left;
      const auto published = publisher.publish(one, one.request.output, writes(result_of(one)));
      ASSERT_TRUE(published) << published.error().message;
    }
  }

  const auto counts = *store_->counts();
  const auto total = counts[static_cast<std::size_t>(JobState::kDone)];
  for (const JobState state :
       {JobState::kQueued, JobState::kRunning, JobState::kPublishing, JobState::kFailed, JobState::kEscalated}) {
    EXPECT_EQ(counts[static_cast<std::size_t>(state)], 0) << name_of(state);
  }
  for (const std::string& key : accepted_) {
    const auto found = store_->find_by_key(key);
    ASSERT_TRUE(found && *found) << key << " was accepted and is gone";
  }
  std::int64_t seen = 0;
  int crashed = 0;
  for (JobStore::Filter page; true;) {
    const auto jobs = *store_->list(page);
    if (jobs.empty()) break;
    for (const Job& one : jobs) {
      ++seen;
      crashed += one.crashes > 0 ? 1 : 0;
      EXPECT_EQ(one.state, JobState::kDone) << one.id;
      EXPECT_EQ(one.returned, "");
      EXPECT_EQ(*sha256_hex_of_file(one.output), one.output_sha256) << one.output;
      EXPECT_EQ(std::filesystem::file_size(one.output), one.output_size);
      const std::string events = events_of(one.id);
      EXPECT_TRUE(events.starts_with("accepted started")) << events;
      EXPECT_EQ(events.find(" done"), events.size() - 5) << events;
      const auto done = done_.find(one.id);
      if (done != done_.end()) {
        EXPECT_EQ(done->second, one.output_sha256) << "the result of job " << one.id << " changed after it was done";
      }
    }
    page.after = jobs.back().id;
  }
  EXPECT_EQ(seen, total);
  std::int64_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "out")) {
    EXPECT_NE(entry.path().filename(), kTemporaryFolder);
    ++files;
  }
  EXPECT_EQ(files, total);
  std::cout << total << " jobs, " << crashed << " of them met a kill, " << left << " were left for the end\n";
}

}  // namespace
}  // namespace retouchd::queue
