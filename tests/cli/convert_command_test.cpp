#include "cli/convert_command.h"

#include <gmock/gmock.h>

#include <sstream>

#include "cli/run_command.h"
#include "inference/weights/weight_file.h"
#include "tests/temporary_folder.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct ConvertCommandTest : testing::Test {
  TemporaryFolder folder;
  std::ostringstream out, err;
  const std::string output = (folder.path() / "net.safetensors").string();

  static std::string weights(const std::string& name) { return RETOUCHD_SOURCE_DIR "/tests/inference/data/pth/" + name; }
  int retouch(std::vector<std::string> words) {
    out.str("");
    err.str("");
    words.insert(words.begin(), "convert");
    Console console(out, err, false);
    return run_command(words, console, config::Environment{});
  }
};

TEST_F(ConvertCommandTest, WritesSafetensorsAndTellsWhatIsInThem) {
  EXPECT_EQ(retouch({weights("params.pth"), output, "--task", "denoise"}), 0) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("7 tensors (6 F32, 1 I64)"));
  EXPECT_EQ(err.str(), "");
  const auto read = inference::read_weight_header(output);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->metadata.at("task"), "denoise");
  EXPECT_THAT(read->metadata.at("converted_by"), testing::StartsWith("retouch "));
}

TEST_F(ConvertCommandTest, AsksForTheTask) {
  EXPECT_EQ(retouch({weights("params.pth"), output}), 0);
  EXPECT_THAT(err.str(), HasSubstr("--task"));
}

TEST_F(ConvertCommandTest, TellsJson) {
  EXPECT_EQ(retouch({weights("types_legacy.pth"), output, "--dtype", "f16", "--license", "MIT", "--json"}), 0) << err.str();
  const auto told = json::parse(out.str());
  EXPECT_EQ(told["output"], output);
  EXPECT_EQ(told["source_format"], "pth (legacy)");
  EXPECT_EQ(told["tensors"], 10);
  EXPECT_EQ(told["parameters"], 50);
  EXPECT_EQ(told["types"]["F16"], 4);
  EXPECT_EQ(told["metadata"]["license"], "MIT");
  EXPECT_EQ(told["left_out"], json::array());
}

TEST_F(ConvertCommandTest, ExitCodesTellWhatWentWrong) {
  EXPECT_EQ(retouch({weights("gadget.pth"), output}), 5);
  EXPECT_THAT(err.str(), HasSubstr("an object of `posix.system`"));
  EXPECT_EQ(retouch({weights("absent.pth"), output}), 3);
  EXPECT_EQ(retouch({weights("params.pth"), output + ".pth"}), 2);
  EXPECT_EQ(retouch({weights("params.pth"), output, "--dtype", "f8"}), 2);
  EXPECT_EQ(retouch({weights("params.pth")}), 2);
  EXPECT_FALSE(std::filesystem::exists(output));
}

TEST_F(ConvertCommandTest, ReplacesOnlyWhenTold) {
  folder.write("net.safetensors", "precious");
  EXPECT_EQ(retouch({weights("params.pth"), output}), 1);
  EXPECT_EQ(read_text(output), "precious");
  EXPECT_EQ(retouch({weights("params.pth"), output, "--overwrite"}), 0);
  EXPECT_NE(read_text(output), "precious");
}

}  // namespace
}  // namespace retouchd::cli
