#include "intake/hook_runner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>

#include "memory_job_store.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;
using How = HookEnd::How;

/// A FIFO on whose other end a command and all that it starts can be watched.
class Lifeline {
 public:
  explicit Lifeline(const std::filesystem::path& path) {
    ::mkfifo(path.c_str(), 0600);
    fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  /// Waits until something was written.
  bool is_alive() { return await() == POLLIN; }
  /// Waits until everybody who had it open is gone.
  bool is_over() {
    char byte = 0;
    while (await() == POLLIN) {
      if (::read(fd_.get(), &byte, 1) == 0) return true;
    }
    return await() == POLLHUP;
  }

 private:
  int await() {
    pollfd one{fd_.get(), POLLIN, 0};
    return ::poll(&one, 1, 60'000) == 1 ? ((one.revents & POLLIN) != 0 ? POLLIN : POLLHUP) : 0;
  }
  UniqueFd fd_;
};

class HookCommandTest : public testing::Test {
 protected:
  HookEnd run(const std::string& text, std::vector<std::string> environment = {}, milliseconds timeout = seconds(60)) {
    environment.emplace_back("PATH=/usr/bin:/bin");
    return run_hook({text, std::move(environment), timeout}, stop_.get());
  }

  TemporaryFolder folder_;
  UniqueFd stop_{::eventfd(0, EFD_CLOEXEC)};
};

TEST_F(HookCommandTest, RunsAndTellsHowItEnded) {
  EXPECT_EQ(run("exit 0").how, How::kOk);
  const auto failed = run("echo to stdout; echo to stderr >&2; exit 3");
  EXPECT_EQ(failed.how, How::kFailed);
  EXPECT_EQ(failed.reason, "exit status 3");
  EXPECT_EQ(failed.output, "to stdout\nto stderr\n");
  EXPECT_EQ(run("kill -SEGV $$").reason, "signal 11");
  EXPECT_EQ(run("no-such-program-anywhere").reason, "exit status 127");
}

TEST_F(HookCommandTest, HasNothingOnStdinAndNoOtherFile) {
  const UniqueFd ours(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  EXPECT_EQ(run("read line; [ -z \"$line\" ]").how, How::kOk);
  EXPECT_EQ(run("[ ! -e /proc/$$/fd/" + std::to_string(ours.get()) + " ]").how, How::kOk);
}

TEST_F(HookCommandTest, KeepsTheEndOfALongOutput) {
  const auto end = run("i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo last; exit 1");
  EXPECT_EQ(end.output.size(), HookEnd::kMostOutput);
  EXPECT_TRUE(end.output.ends_with("0123456789\nlast\n"));
}

TEST_F(HookCommandTest, IsKilledWhenItsTimeIsOver) {
  const auto end = run("echo began; while :; do sleep 600; done", {}, milliseconds(200));
  EXPECT_EQ(end.how, How::kTimeout);
  EXPECT_EQ(end.reason, "killed after 200 ms");
}

TEST_F(HookCommandTest, NothingThatItStartedStaysBehind) {
  const auto fifo = folder_.path() / "fifo";
  Lifeline line(fifo);
  // The shell ends at once; what it started ignores what can be ignored, and has the FIFO open.
  const auto end = run("exec 3>" + fifo.string() + "; echo x >&3; (trap '' HUP TERM; sleep 600) & exit 0");
  EXPECT_EQ(end.how, How::kOk);
  EXPECT_TRUE(line.is_over());
}

TEST_F(HookCommandTest, CanBeStoppedFromOutside) {
  const auto fifo = folder_.path() / "fifo";
  Lifeline line(fifo);
  std::thread stopper([&] {
    EXPECT_TRUE(line.is_alive());
    ::eventfd_write(stop_.get(), 1);
  });
  const auto end = run("(exec 3>" + fifo.string() + "; echo x >&3; sleep 600) & sleep 600");
  stopper.join();
  EXPECT_EQ(end.how, How::kStopped);
  EXPECT_TRUE(line.is_over());
}

class HookRunnerTest : public testing::Test {
 protected:
  queue::JobId submit(const std::string& name) {
    queue::JobRequest request;
    request.key = name;
    request.name = name;
    request.origin = "zmq";
    request.source = folder_.path() / name;
    request.output = folder_.path() / "out" / name;
    request.network = "student-tiny";
    return store_.accept_and_wait(std::move(request))->id;
  }
  void start(const config::Hooks& hooks, HookRunner::Options options) {
    runner_ = std::make_unique<HookRunner>(hooks, store_, HookRunner::Callbacks{[this](std::string_view result) {
                                             const std::lock_guard lock(mutex_);
                                             results_.emplace_back(result);
                                             changed_.notify_all();
                                           }},
                                           options);
    store_.set_listener([this](const auto& events) { runner_->on_events(events); });
    runner_->start();
  }
  void start(const config::Hooks& hooks) { start(hooks, HookRunner::Options()); }
  /// The results, once there are so many.
  std::vector<std::string> results(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, seconds(60), [&] { return results_.size() >= count; })) << "only " << results_.size();
    return results_;
  }
  static config::Hooks on_done(const std::string& command) {
    config::Hooks hooks;
    hooks.done = command;
    return hooks;
  }
  [[nodiscard]] std::string text(const std::string& name) const { return read_text(folder_.path() / name); }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
  MemoryJobStore store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> results_;
  std::unique_ptr<HookRunner> runner_;  // last: its threads use what stands above
};

TEST_F(HookRunnerTest, RunsTheCommandOfTheEvent) {
  config::Hooks hooks = on_done("echo \"$RETOUCHD_EVENT $RETOUCHD_STATE $RETOUCHD_JOB $RETOUCHD_OUTPUT\" > " + path("done"));
  hooks.failed = "echo \"$RETOUCHD_EVENT $RETOUCHD_ERROR_CODE $RETOUCHD_ERROR\" > " + path("failed");
  start(hooks);
  store_.finish(submit("a.jpg"), "/out/a.png", "picture");
  store_.fail_job(submit("b.jpg"), make_error(ErrorCode::kCorruptPicture, "b.jpg: row 12"));
  ASSERT_TRUE(store_.cancel(submit("c.jpg")));  // no command for that
  EXPECT_THAT(results(2), ElementsAre("ok", "ok"));
  EXPECT_EQ(text("done"), "done done 1 /out/a.png\n");
  EXPECT_EQ(text("failed"), "failed corrupt_picture b.jpg: row 12\n");
}

TEST_F(HookRunnerTest, NamesNeverBecomePartOfTheCommand) {
  const std::string name = "$(touch evil) `touch evil`; touch evil\n' \" touch evil & .jpg";
  start(on_done("cd " + folder_.path().string() + " && printf %s \"$RETOUCHD_NAME\" > name"));
  store_.finish(submit(name), "/out/a.png", "picture");
  EXPECT_THAT(results(1), ElementsAre("ok"));
  EXPECT_EQ(text("name"), name);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "evil"));
}

TEST_F(HookRunnerTest, CountsFailuresAndTimeouts) {
  start(on_done("exit 3"));
  store_.finish(submit("a.jpg"), "/out/a.png", "picture");
  EXPECT_THAT(results(1), ElementsAre("failed"));
  config::Hooks slow = on_done("sleep 600");
  slow.timeout = milliseconds(100);
  runner_->set(slow);
  store_.finish(submit("b.jpg"), "/out/b.png", "picture");
  EXPECT_THAT(results(2), ElementsAre("failed", "timeout"));
}

TEST_F(HookRunnerTest, CommandsOfOneJobRunOneAfterTheOther) {
  const auto fifo = folder_.path() / "fifo";
  ::mkfifo(fifo.c_str(), 0600);
  config::Hooks hooks = on_done("echo done >> " + path("log"));
  hooks.preview = "read go < " + fifo.string() + "; echo preview >> " + path("log");
  start(hooks);
  const auto first = submit("a.jpg");
  const auto second = submit("b.jpg");
  store_.change(first, "preview", "{}", [](queue::Job&) {});
  store_.finish(first, "/out/a.png", "picture");
  store_.finish(second, "/out/b.png", "picture");
  results(1);
  EXPECT_EQ(text("log"), "done\n") << "another job's is not held up";
  write_text(fifo, "go\n");
  results(3);
  EXPECT_EQ(text("log"), "done\npreview\ndone\n");
}

TEST_F(HookRunnerTest, DropsTheOldestWhenTooManyWait) {
  const auto fifo = folder_.path() / "fifo";
  const auto go = folder_.path() / "go";
  Lifeline line(fifo);
  ::mkfifo(go.c_str(), 0600);
  config::Hooks hooks = on_done("echo $RETOUCHD_NAME >> " + path("log"));
  hooks.preview = "echo x > " + fifo.string() + "; read go < " + go.string();
  start(hooks, {.capacity = 2, .parallel = 1});
  const auto blocking = submit("blocking");
  store_.change(blocking, "preview", "{}", [](queue::Job&) {});
  ASSERT_TRUE(line.is_alive());
  for (const char* name : {"a", "b", "c", "d"}) store_.finish(submit(name), "/out", "picture");
  EXPECT_THAT(results(2), ElementsAre("dropped", "dropped"));
  write_text(go, "go\n");
  EXPECT_THAT(results(5), ElementsAre("dropped", "dropped", "ok", "ok", "ok"));
  EXPECT_EQ(text("log"), "c\nd\n");
}

TEST_F(HookRunnerTest, WhatIsThereEndsWhenStopped) {
  start(on_done("echo $RETOUCHD_NAME >> " + path("log")), {.parallel = 1, .grace = seconds(60)});
  for (const char* name : {"a", "b", "c"}) store_.finish(submit(name), "/out", "picture");
  runner_->stop();
  EXPECT_EQ(text("log"), "a\nb\nc\n");
  store_.finish(submit("late"), "/out", "picture");
  EXPECT_THAT(results(3), ElementsAre("ok", "ok", "ok"));
}

TEST_F(HookRunnerTest, WhatDoesNotEndIsKilledWhenStopped) {
  const auto fifo = folder_.path() / "fifo";
  Lifeline line(fifo);
  start(on_done("echo x > " + fifo.string() + "; sleep 600"), {.parallel = 1, .grace = milliseconds(50)});
  store_.finish(submit("a"), "/out", "picture");
  store_.finish(submit("b"), "/out", "picture");
  ASSERT_TRUE(line.is_alive());
  runner_->stop();
  EXPECT_THAT(results(2), testing::UnorderedElementsAre("dropped", "failed"));
}

TEST(HookEnvironment, TellsAboutTheJob) {
  ::setenv("RETOUCHD_OF_AN_OUTER_HOOK", "x", 1);
  ::setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
  queue::Job job;
  job.request.name = "a.jpg";
  job.request.origin = "watch:photos";
  job.request.source = "/in/a.jpg";
  job.request.output = "/out/a.jpg";
  job.request.network = "student-tiny";
  job.preview = "/previews/17.jpg";
  job.state = queue::JobState::kEscalated;
  const auto environment = hook_environment({17, 4, "escalated", {}, "{}"}, &job);
  ::unsetenv("RETOUCHD_OF_AN_OUTER_HOOK");
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(environment,
              IsSupersetOf({"RETOUCHD_EVENT=escalated", "RETOUCHD_JOB=17", "RETOUCHD_SEQ=4", "RETOUCHD_NAME=a.jpg",
                            "RETOUCHD_ORIGIN=watch:photos", "RETOUCHD_SOURCE=/in/a.jpg", "RETOUCHD_OUTPUT=/out/a.jpg",
                            "RETOUCHD_PREVIEW=/previews/17.jpg", "RETOUCHD_NETWORK=student-tiny", "RETOUCHD_STATE=escalated",
                            "RETOUCHD_ERROR_CODE=", "RETOUCHD_ERROR="}));
  EXPECT_THAT(environment, Contains(StartsWith("PATH=")));
  EXPECT_THAT(environment, Not(Contains(HasSubstr("OUTER_HOOK"))));
  EXPECT_THAT(environment, Not(Contains(StartsWith("NOTIFY_SOCKET="))));
}

TEST(HookEnvironment, HidesTheSpool) {
  queue::Job job;
  job.request.source = "/var/lib/retouchd/spool/17";
  job.request.spooled = true;
  EXPECT_THAT(hook_environment({17, 4, "done", {}, "{}"}, &job), Contains("RETOUCHD_SOURCE="));
  EXPECT_THAT(hook_environment({17, 4, "done", {}, "{}"}, nullptr), Contains("RETOUCHD_STATE="));
}

}  // namespace
}  // namespace retouchd::intake
