#include "cli/run_local.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/temporary_folder.h"

namespace retouchd::cli {
namespace {

TEST(RunLocal, PassesEverythingOn) {
  Arguments arguments;
  arguments.command = "run";
  arguments.files = {"a.jpg", "b.jpg"};
  arguments.output = std::string("out/");
  EXPECT_EQ(daemon_words(arguments, "retouchd"),
            (std::vector<std::string>{"retouchd", "--run", "a.jpg", "b.jpg", "--output", "out/"}));
  arguments.json = true;
  arguments.network = std::string("other");
  arguments.connect.config = std::string("c.yaml");
  EXPECT_EQ(daemon_words(arguments, "/x/retouchd"),
            (std::vector<std::string>{"/x/retouchd", "--run", "a.jpg", "b.jpg", "--output", "out/", "--json", "--network",
                                      "other", "--config", "c.yaml"}));
}

TEST(RunLocal, LeavesTheOptionsOfPlanValidateAndCalibrateToTheDaemon) {
  std::ostringstream out, err;
  Console console(out, err, false);
  const auto parsed = parse_arguments({"--json", "plan", "3296x2192", "--memory", "128GiB", "--mode", "single_pass"}, console);
  ASSERT_TRUE(std::holds_alternative<Arguments>(parsed)) << err.str();
  EXPECT_EQ(daemon_words(std::get<Arguments>(parsed), "retouchd"),
            (std::vector<std::string>{"retouchd", "plan", "3296x2192", "--memory", "128GiB", "--mode", "single_pass", "--json"}));
  const auto help = parse_arguments({"validate", "--help"}, console);
  ASSERT_TRUE(std::holds_alternative<Arguments>(help)) << err.str();
  EXPECT_EQ(daemon_words(std::get<Arguments>(help), "retouchd"), (std::vector<std::string>{"retouchd", "validate", "--help"}));
  const auto calibrate = parse_arguments({"calibrate", "photos", "--rate", "0.2"}, console);
  ASSERT_TRUE(std::holds_alternative<Arguments>(calibrate)) << err.str();
  EXPECT_EQ(daemon_words(std::get<Arguments>(calibrate), "retouchd"),
            (std::vector<std::string>{"retouchd", "calibrate", "photos", "--rate", "0.2"}));
}

TEST(RunLocal, FindsTheDaemonBesideItselfThenInTheBuildTreeThenOnThePath) {
  const TemporaryFolder scratch;
  const auto own = scratch.path() / "cli/retouch";
  EXPECT_EQ(find_daemon(own), "retouchd");
  const auto add = [&](const char* name) {
    write_text(scratch.path() / name, "#!/bin/sh\n");
    std::filesystem::permissions(scratch.path() / name, std::filesystem::perms::owner_all);
    return (scratch.path() / name).string();
  };
  const auto in_tree = add("daemon/retouchd");
  EXPECT_EQ(find_daemon(own), in_tree);
  const auto beside = add("cli/retouchd");
  EXPECT_EQ(find_daemon(own), beside);
}

}  // namespace
}  // namespace retouchd::cli
