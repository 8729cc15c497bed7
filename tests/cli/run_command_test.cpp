#include "cli/run_command.h"

#include <gmock/gmock.h>

#include <sstream>
#include <thread>

#include "tests/intake/zmq_fixture.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// The whole program but main(), against the real server.
struct RunCommandTest : intake::ZmqFixture {
  std::ostringstream out, err;

  int retouch(std::vector<std::string> words) {
    out.str("");
    err.str("");
    words.insert(words.end(), {"--connect", sockets.requests});
    Console console(out, err, false);
    return run_command(words, console, config::Environment{});
  }
  std::vector<json> objects() const {
    std::vector<json> all;
    std::istringstream lines(out.str());
    for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
    return all;
  }
  std::string picture(const std::string& name) { return folder.write(name, "picture").string(); }
  /// From now on jobs end as soon as they are accepted.
  void end_jobs(std::function<void(queue::JobId)> end) {
    store.set_listener([this, end = std::move(end)](const std::vector<queue::JobEvent>& events) {
      publisher.publish(events);
      for (const auto& event : events) {
        if (event.kind == "accepted") end(event.job);
      }
    });
  }
};

TEST_F(RunCommandTest, PingTellsWhoAnswers) {
  start();
  EXPECT_EQ(retouch({"ping"}), 0);
  EXPECT_THAT(out.str(), HasSubstr("retouchd 1.2.3 answers"));
  EXPECT_EQ(retouch({"ping", "--json"}), 0);
  EXPECT_EQ(objects()[0]["version"], "1.2.3");
}

TEST_F(RunCommandTest, AnAbsentDaemonIsFour) {
  EXPECT_EQ(retouch({"ping"}), 4);
  EXPECT_THAT(err.str(), HasSubstr("there is no such socket"));
  EXPECT_THAT(err.str(), HasSubstr("Start retouchd"));
}

TEST_F(RunCommandTest, SubmitAnswersAtOnce) {
  start();
  const auto path = picture("a.jpg");
  EXPECT_EQ(retouch({"submit", path, "-o", (folder.path() / "out.jpg").string(), "--json", "--priority", "4"}), 0) << err.str();
  ASSERT_EQ(objects().size(), 1U);
  EXPECT_EQ(objects()[0]["job"], 1);
  EXPECT_EQ(objects()[0]["source"], path);
  EXPECT_EQ(objects()[0]["output"], (folder.path() / "out.jpg").string());
  EXPECT_EQ(store.get(1)->request.priority, 4);
}

TEST_F(RunCommandTest, TheSameKeyIsTheSameJob) {
  start();
  const auto path = picture("a.jpg");
  EXPECT_EQ(retouch({"submit", path, "--key", "k"}), 0);
  EXPECT_EQ(retouch({"submit", path, "--key", "k", "--json"}), 0);
  EXPECT_EQ(objects()[0]["duplicate"], true);
  EXPECT_EQ(retouch({"submit", picture("b.jpg"), "--key", "k"}), 2) << "conflict";
}

TEST_F(RunCommandTest, WaitingEndsWithTheJobs) {
  start();
  end_jobs([this](queue::JobId id) { store.finish(id, folder.path() / "x.jpg", "r"); });
  picture("in/a.jpg");
  picture("in/sub/b.jpg");
  EXPECT_EQ(retouch({"submit", (folder.path() / "in").string(), "-o", (folder.path() / "out").string(), "--wait", "--json"}), 0)
      << err.str();
  ASSERT_EQ(objects().size(), 2U);
  for (const auto& job : objects()) EXPECT_EQ(job["state"], "done");
  EXPECT_EQ(store.get(2)->request.output, folder.path() / "out/sub/b.jpg");
}

TEST_F(RunCommandTest, FailuresAreToldWithReasonAndRemedy) {
  start();
  end_jobs([this](queue::JobId id) { store.fail_job(id, make_error(ErrorCode::kCorruptPicture, "the decoder refused it")); });
  EXPECT_EQ(retouch({"submit", picture("a.jpg"), "--wait"}), 1);
  EXPECT_THAT(err.str(), HasSubstr("the decoder refused it"));
  EXPECT_THAT(err.str(), HasSubstr(std::string(traits_of(ErrorCode::kCorruptPicture).remedy)));
}

TEST_F(RunCommandTest, ExitCodesTellTheCause) {
  limits.queued_jobs = 1;
  start();
  const auto path = picture("a.jpg");
  EXPECT_EQ(retouch({"submit", (folder.path() / "none.jpg").string()}), 3);
  EXPECT_EQ(retouch({"submit", folder.write("empty.jpg", "").string()}), 3);
  EXPECT_EQ(retouch({"submit", path, "--network", "big"}), 5);
  EXPECT_THAT(err.str(), HasSubstr("student-tiny"));
  EXPECT_EQ(retouch({"status", "99"}), 2);
  EXPECT_EQ(retouch({"submit", path}), 0) << "the two refused ones took no room";
  EXPECT_EQ(retouch({"submit", path}), 75);
}

TEST_F(RunCommandTest, WaitingForACancelledJobIsSixAndTooLongSeven) {
  start();
  const auto path = picture("a.jpg");
  EXPECT_EQ(retouch({"submit", path, "--wait", "--timeout", "0.05"}), 7);
  EXPECT_EQ(retouch({"cancel", "1"}), 0);
  EXPECT_EQ(out.str(), "job 1: cancelled\n");
  EXPECT_EQ(retouch({"watch", "1"}), 6);
  EXPECT_EQ(retouch({"retry", "1", "--json"}), 0);
  EXPECT_EQ(objects()[0]["state"], "queued");
}

TEST_F(RunCommandTest, WatchShowsEventsUntilTheJobEnds) {
  start();
  ASSERT_EQ(retouch({"submit", picture("a.jpg")}), 0);
  end_jobs([](queue::JobId) {});
  std::thread worker([this] {
    // Told again and again, for the watch may begin at any time.
    for (int i = 0; i < 1'000 && store.get(1)->state != queue::JobState::kDone; ++i) {
      publisher.publish({{1, 0, "progress", system_clock().now(), R"({"stage":"infer","done":1,"total":4})"}});
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (i == 100) store.finish(1, folder.path() / "x.jpg", "r");
    }
  });
  EXPECT_EQ(retouch({"watch", "1"}), 0) << err.str();
  worker.join();
  EXPECT_THAT(out.str(), HasSubstr("infer 1/4"));
  EXPECT_THAT(out.str(), HasSubstr("done"));
}

TEST_F(RunCommandTest, TopShowsTheDaemonOneTimeWithoutATerminal) {
  start();
  ASSERT_EQ(retouch({"top"}), 0) << err.str();
  EXPECT_THAT(out.str(), testing::StartsWith("retouchd"));
  EXPECT_THAT(out.str(), HasSubstr("\nMemory "));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("\x1b")));
  ASSERT_EQ(retouch({"top", "--once", "--json"}), 0) << err.str();
  ASSERT_EQ(objects().size(), 1u);
  EXPECT_EQ(objects()[0], (json{{"fairness", 0.75}})) << "the daemon's answer, and nothing about the message";
}

TEST_F(RunCommandTest, ListStatusEventsAndModelsPrintWhatThereIs) {
  start();
  for (const char* name : {"a.jpg", "b.jpg", "c.jpg"}) ASSERT_EQ(retouch({"submit", picture(name)}), 0);
  EXPECT_EQ(retouch({"list", "--limit", "2", "--json"}), 0);
  ASSERT_EQ(objects().size(), 2U);
  EXPECT_EQ(objects()[0]["name"], "c.jpg");
  EXPECT_EQ(retouch({"list", "--limit", "0", "--json", "--state", "queued"}), 0);
  EXPECT_EQ(objects().size(), 3U);
  EXPECT_EQ(retouch({"list"}), 0);
  EXPECT_THAT(out.str(), HasSubstr("a.jpg"));
  EXPECT_EQ(retouch({"status", "1"}), 0);
  EXPECT_THAT(out.str(), HasSubstr("job 1: queued"));
  EXPECT_EQ(retouch({"events", "1", "2", "--json"}), 0);
  EXPECT_EQ(objects().size(), 2U);
  EXPECT_EQ(retouch({"models", "--json"}), 0);
  EXPECT_EQ(objects()[0]["default"], true);
}

}  // namespace
}  // namespace retouchd::cli
