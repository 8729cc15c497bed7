#include "config/checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/endpoint.h"
#include "config/reader.h"
#include "tests/temporary_folder.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Watch a_watch(const std::string& name, const fs::path& path, const fs::path& output) {
  Watch watch;
  watch.name = name;
  watch.path = path;
  watch.output = output;
  return watch;
}

Config with(std::vector<Watch> watches) {
  Environment environment;
  environment.state_directory = "/var/lib/retouchd";
  environment.runtime_directory = "/run/retouchd";
  Config config = default_config(environment);
  config.watch = std::move(watches);
  return config;
}

// The only problem; an empty one when there is none or several.
Problem only_problem(const Config& config) {
  auto problems = find_problems(config);
  EXPECT_THAT(problems, SizeIs(1));
  return problems.size() == 1 ? problems.front() : Problem{};
}

TEST(Checks, FindNothingInTheDefaultsOrInFoldersSideBySide) {
  EXPECT_THAT(find_problems(with({})), IsEmpty());
  EXPECT_THAT(find_problems(with({a_watch("a", "/p/in", "/p/out"), a_watch("b", "/p/in2", "/p/out2")})), IsEmpty());
}

TEST(Checks, RefuseAnOutputInsideAWatchedFolder) {
  const Problem problem = only_problem(with({a_watch("a", "/p", "/p/out")}));
  EXPECT_EQ(problem.key, "output");
  EXPECT_EQ(problem.watch, 0U);
  EXPECT_THAT(problem.message, HasSubstr("`/p/out` is inside the watched folder `/p`"));
  EXPECT_EQ(only_problem(with({a_watch("a", "/p", "/p")})).key, "output");
}

TEST(Checks, RefuseAnOutputInsideAnotherWatchsFolder) {
  const Problem problem = only_problem(with({a_watch("a", "/a", "/b/out"), a_watch("b", "/b", "/c")}));
  EXPECT_EQ(problem.key, "output");
  EXPECT_EQ(problem.watch, 0U);
}

TEST(Checks, RefuseAWatchedFolderInsideAnOutput) {
  const Problem problem = only_problem(with({a_watch("a", "/out/in", "/out")}));
  EXPECT_EQ(problem.key, "path");
  EXPECT_THAT(problem.message, HasSubstr("`/out/in` is inside the output folder `/out`"));
}

TEST(Checks, SeeThroughSymbolicLinks) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path() / "in");
  fs::create_directory_symlink(folder.path() / "in", folder.path() / "link");
  const Problem problem = only_problem(with({a_watch("a", folder.path() / "in", folder.path() / "link/out")}));
  EXPECT_EQ(problem.key, "output");
}

TEST(Checks, DoNotTakeASharedBeginningOfANameForAFolder) {
  EXPECT_THAT(find_problems(with({a_watch("a", "/photos", "/photos-restored")})), IsEmpty());
}

TEST(Checks, RefuseTwoWatchesOfOneFolderNameOrOutput) {
  EXPECT_THAT(only_problem(with({a_watch("a", "/p", "/o1"), a_watch("b", "/p", "/o2")})).message, HasSubstr("is watched twice"));
  EXPECT_EQ(only_problem(with({a_watch("a", "/p1", "/o1"), a_watch("a", "/p2", "/o2")})).key, "name");
  const Problem output = only_problem(with({a_watch("a", "/p1", "/o"), a_watch("b", "/p2", "/o")}));
  EXPECT_EQ(output.key, "output");
  EXPECT_EQ(output.watch, 1U);
}

TEST(Checks, RefuseNestedWatchesUnlessTheOuterOneIsNotRecursive) {
  Watch outer = a_watch("outer", "/p", "/o1");
  const Watch inner = a_watch("inner", "/p/scans", "/o2");
  Problem problem = only_problem(with({outer, inner}));
  EXPECT_EQ(problem.key, "path");
  EXPECT_EQ(problem.watch, 1U);
  EXPECT_EQ(only_problem(with({inner, outer})).watch, 0U);
  outer.recursive = false;
  EXPECT_THAT(find_problems(with({outer, inner})), IsEmpty());
}

TEST(Checks, TieMoveToToOnSuccess) {
  Watch watch = a_watch("a", "/p", "/o");
  watch.on_success = Watch::OnSuccess::kMove;
  EXPECT_EQ(only_problem(with({watch})).key, "on_success");
  watch.move_to = "/m";
  EXPECT_THAT(find_problems(with({watch})), IsEmpty());
  watch.on_success = Watch::OnSuccess::kKeep;
  EXPECT_EQ(only_problem(with({watch})).key, "move_to");
}

TEST(Checks, KeepOriginalsAwayFromInputsAndResults) {
  Watch watch = a_watch("a", "/p", "/o");
  watch.on_success = Watch::OnSuccess::kMove;
  watch.move_to = "/p/originals";
  EXPECT_THAT(only_problem(with({watch})).message, HasSubstr("originals would be restored again"));
  watch.move_to = "/o";
  EXPECT_THAT(only_problem(with({watch})).message, HasSubstr("is also the output"));
}

TEST(Checks, KeepTheStateOutOfWatchedFolders) {
  const Problem problem = only_problem(with({a_watch("a", "/var/lib", "/o")}));
  EXPECT_EQ(problem.key, "state_dir");
  EXPECT_EQ(problem.watch, std::nullopt);
}

TEST(Checks, RefuseOneSocketForTwoPurposes) {
  Config config = with({});
  config.zmq.events = config.zmq.requests;
  EXPECT_EQ(only_problem(config).key, "zmq.events");
  config.zmq.enabled = false;
  EXPECT_THAT(find_problems(config), IsEmpty());
}

TEST(Checks, RefuseSocketPathsThatLinuxCannotBind) {
  Config config = with({});
  const std::string longest = "/" + std::string(kLongestSocketPath - 1, 'a');
  config.zmq.requests = "ipc://" + longest;
  EXPECT_THAT(find_problems(config), IsEmpty());
  config.zmq.requests += "a";
  const Problem problem = only_problem(config);
  EXPECT_EQ(problem.key, "zmq.requests");
  EXPECT_THAT(problem.message, HasSubstr("has 108 bytes, and Linux allows 107"));
}

TEST(Checks, BlameTheRuntimeFolderForLongDefaultSockets) {
  Environment environment;
  environment.state_directory = "/s";
  environment.runtime_directory = "/" + std::string(100, 'r');
  const auto problems = find_problems(default_config(environment));
  ASSERT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].key, "runtime_dir");
  EXPECT_THAT(problems[0].message, HasSubstr("set `runtime_dir` to a shorter path"));
}

TEST(Checks, RefuseToEscalateToNowhere) {
  Config config = with({});
  config.cascade.policy = "hybrid";
  EXPECT_EQ(only_problem(config).key, "cascade.policy");
  config.cascade.policy = "local";
  Watch watch = a_watch("w", "/in", "/out");
  watch.policy = "hybrid";
  config.watch = {watch};
  EXPECT_EQ(only_problem(config).key, "cascade.policy");
  config.cloud.node = "http://server:8000";
  EXPECT_THAT(find_problems(config), IsEmpty());
}

TEST(Checks, RefuseACloudNodeThatCouldBeAnybody) {
  Config config = with({});
  config.cloud.node = "tcp://cloud:9465";
  EXPECT_EQ(only_problem(config).key, "cloud.server_key");
}

TEST(Checks, RefuseLevelsThatDoNotRise) {
  Config config = with({});
  config.cascade.levels = {4, 2};
  EXPECT_EQ(only_problem(config).key, "cascade.levels");
}

}  // namespace
}  // namespace retouchd::config
