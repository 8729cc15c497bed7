#include "cli/run_local.h"

#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace retouchd::cli {
namespace {

TEST(RunLocal, PassesEverythingOn) {
  Arguments arguments;
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
