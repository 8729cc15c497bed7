#include "cli/arguments.h"

#include <gmock/gmock.h>

#include <sstream>

namespace retouchd::cli {
namespace {

struct ArgumentsTest : testing::Test {
  std::ostringstream out, err;
  Console console{out, err, false};

  Arguments parse(const std::vector<std::string>& words) {
    auto parsed = parse_arguments(words, console);
    EXPECT_TRUE(std::holds_alternative<Arguments>(parsed)) << err.str();
    return std::holds_alternative<Arguments>(parsed) ? std::get<Arguments>(parsed) : Arguments{};
  }
  int refused(const std::vector<std::string>& words) {
    auto parsed = parse_arguments(words, console);
    return std::holds_alternative<int>(parsed) ? std::get<int>(parsed) : -1;
  }
};

TEST_F(ArgumentsTest, SubmitTakesItsOptions) {
  const auto arguments = parse({"submit", "a.jpg", "b", "-o", "out/", "--wait", "--network", "n", "--overwrite", "--priority",
                                "-3", "--no-preview", "--key", "k", "--timeout", "1.5"});
  EXPECT_EQ(arguments.command, "submit");
  EXPECT_EQ(arguments.files, (std::vector<std::string>{"a.jpg", "b"}));
  EXPECT_EQ(arguments.output, "out/");
  EXPECT_EQ(arguments.network, "n");
  EXPECT_EQ(arguments.key, "k");
  EXPECT_EQ(arguments.priority, -3);
  EXPECT_TRUE(arguments.wait);
  EXPECT_TRUE(arguments.overwrite);
  EXPECT_FALSE(arguments.preview);
  EXPECT_EQ(arguments.timeout_s, 1.5);
}

TEST_F(ArgumentsTest, DeadlinesHaveUnits) {
  EXPECT_EQ(parse({"submit", "a.jpg"}).deadline_s, 0);
  EXPECT_EQ(parse({"submit", "a.jpg", "--deadline", "10m"}).deadline_s, 600);
  EXPECT_EQ(parse({"submit", "a.jpg", "--deadline", "1.5h"}).deadline_s, 5400);
  EXPECT_EQ(refused({"submit", "a.jpg", "--deadline", "0s"}), 2);
  EXPECT_EQ(refused({"submit", "a.jpg", "--deadline", "soon"}), 2);
}

TEST_F(ArgumentsTest, AnUnknownCommandIsNamed) {
  EXPECT_EQ(refused({"submt", "a.jpg"}), 2);
  EXPECT_THAT(err.str(), testing::HasSubstr("submt"));
}

TEST_F(ArgumentsTest, NoCommandIsAUsageError) {
  EXPECT_EQ(refused({}), 2);
  EXPECT_THAT(err.str(), testing::HasSubstr("command is required"));
}

TEST_F(ArgumentsTest, GeneralOptionsMayStandBeforeAndAfterTheCommand) {
  for (const auto& words :
       {std::vector<std::string>{"--json", "--connect", "ipc:///x", "list"}, {"list", "--json", "--connect", "ipc:///x"}}) {
    const auto arguments = parse(words);
    EXPECT_TRUE(arguments.json);
    EXPECT_TRUE(console.json());
    EXPECT_EQ(arguments.connect.endpoint, "ipc:///x");
  }
}

TEST_F(ArgumentsTest, TopTakesAnIntervalWithItsUnit) {
  EXPECT_EQ(parse({"top"}).interval_s, 1);
  EXPECT_FALSE(parse({"top"}).once);
  EXPECT_TRUE(parse({"top", "--once"}).once);
  EXPECT_EQ(parse({"top", "--interval", "2"}).interval_s, 2);
  EXPECT_EQ(parse({"top", "--interval", "5s"}).interval_s, 5);
  EXPECT_EQ(parse({"top", "--interval", "500ms"}).interval_s, 0.5);
  EXPECT_EQ(parse({"top", "--interval", "1m"}).interval_s, 60);
  for (const auto* wrong : {"0s", "1ms", "2h", "soon", "-1s"}) EXPECT_EQ(refused({"top", "--interval", wrong}), 2) << wrong;
}

TEST_F(ArgumentsTest, PreviewsAreMadeUnlessRefused) { EXPECT_TRUE(parse({"submit", "a.jpg"}).preview); }

TEST_F(ArgumentsTest, UsageErrorsAreTwo) {
  EXPECT_EQ(refused({}), 2);
  EXPECT_EQ(refused({"nonsense"}), 2);
  EXPECT_EQ(refused({"submit"}), 2);
  EXPECT_EQ(refused({"submit", "a.jpg", "--priority", "many"}), 2);
  EXPECT_EQ(refused({"submit", "a.jpg", "--priority", "1001"}), 2);
  EXPECT_EQ(refused({"status", "x"}), 2);
  EXPECT_EQ(refused({"status"}), 2);
  EXPECT_EQ(refused({"list", "--state", "dreaming"}), 2);
  EXPECT_EQ(refused({"run", "a.jpg"}), 2);
  EXPECT_FALSE(err.str().empty());
}

TEST_F(ArgumentsTest, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(refused({"--help"}), 0);
  EXPECT_THAT(out.str(), testing::HasSubstr("submit"));
  EXPECT_EQ(refused({"submit", "--help"}), 0);
  EXPECT_EQ(refused({"--version"}), 0);
  EXPECT_TRUE(err.str().empty());
}

}  // namespace
}  // namespace retouchd::cli
