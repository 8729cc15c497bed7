#include "cli/keygen_command.h"

#include <gmock/gmock.h>

#include <sstream>

#include "cli/run_command.h"
#include "intake/wire/key_file.h"
#include "tests/temporary_folder.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct KeygenCommandTest : testing::Test {
  TemporaryFolder folder;
  std::ostringstream out, err;
  const std::string config = folder.write("config.yaml", "state_dir: " + (folder.path() / "state").string() + "\n").string();

  int retouch(std::vector<std::string> words) {
    out.str("");
    err.str("");
    words.insert(words.begin(), {"keygen", "--config", config});
    Console console(out, err, false);
    return run_command(words, console, config::Environment{});
  }
};

TEST_F(KeygenCommandTest, WritesTheFileThatTheDaemonReads) {
  EXPECT_EQ(retouch({}), 0) << err.str();
  const auto client = wire::read_key_file(folder.path() / "state/cloud.key");
  ASSERT_TRUE(client.ok()) << client.error().message;
  EXPECT_THAT(out.str(), HasSubstr("\n" + client->public_key + " <name>\n"));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr(client->secret_key)));
  EXPECT_EQ(retouch({"--node"}), 0) << err.str();
  const auto node = wire::read_key_file(folder.path() / "state/serve.key");
  ASSERT_TRUE(node.ok()) << node.error().message;
  EXPECT_THAT(out.str(), HasSubstr("server_key: \"" + node->public_key + "\""));
}

TEST_F(KeygenCommandTest, KeysAreReplacedOnlyByForce) {
  const auto file = folder.path() / "own.key";
  EXPECT_EQ(retouch({"-o", file.string(), "--json"}), 0) << err.str();
  const json first = json::parse(out.str());
  EXPECT_EQ(first["file"], file.string());
  EXPECT_EQ(first["public_key"], wire::read_key_file(file)->public_key);
  EXPECT_EQ(retouch({"-o", file.string()}), 1);
  EXPECT_THAT(err.str(), HasSubstr("--force"));
  EXPECT_EQ(first["public_key"], wire::read_key_file(file)->public_key);
  EXPECT_EQ(retouch({"-o", file.string(), "--force", "--json"}), 0) << err.str();
  EXPECT_NE(first["public_key"], json::parse(out.str())["public_key"]);
}

TEST_F(KeygenCommandTest, AFolderThatCannotBeMadeIsNamed) {
  const auto file = folder.write("file", "x") / "own.key";
  EXPECT_EQ(retouch({"-o", file.string()}), 1);
  EXPECT_THAT(err.str(), HasSubstr(file.parent_path().string()));
}

}  // namespace
}  // namespace retouchd::cli
