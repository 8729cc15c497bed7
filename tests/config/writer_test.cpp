#include "config/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "config/changes.h"
#include "config/keys.h"
#include "config/reader.h"

namespace retouchd::config {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Environment an_environment() {
  Environment environment;
  environment.home = "/home/ada";
  environment.state_directory = "/var/lib/retouchd";
  environment.runtime_directory = "/run/retouchd";
  environment.physical_memory = gibibytes(8);
  return environment;
}

Config parsed(const std::string& text) {
  auto config = read_config_text(text, "test.yaml", an_environment());
  EXPECT_TRUE(config) << (config ? "" : config.error().message + "\n" + text);
  return config ? *config : Config{};
}

std::string content(const std::string& path) {
  std::ifstream file(std::string(RETOUCHD_SOURCE_DIR) + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The example with its commented-out watch in force.
std::string with_the_watch(const std::string& example) {
  std::istringstream lines(example);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    result += (line.starts_with("#watch") || line.starts_with("#  ") ? line.substr(1) : line) + "\n";
  }
  return result;
}

TEST(Example, IsWhatTheTablesOfKeysGive) {
  EXPECT_EQ(content("config/retouchd.example.yaml"), example_config())
      << "config_docs <repository> writes config/retouchd.example.yaml and docs/configuration.md anew";
}

TEST(ConfigurationPage, IsWhatTheTablesOfKeysGive) { EXPECT_EQ(content("docs/configuration.md"), configuration_page()); }

TEST(Example, SaysTheDefaults) {
  const Config config = parsed(example_config());
  EXPECT_THAT(changed_keys(default_config(an_environment()), config), IsEmpty());
}

TEST(Example, HoldsAWatchThatCanBeUncommented) {
  const Config config = parsed(with_the_watch(example_config()));
  ASSERT_EQ(config.watch.size(), 1U);
  const Watch& watch = config.watch.front();
  EXPECT_EQ(watch.name, "scans");
  EXPECT_EQ(watch.path, "/srv/photos/scans");
  EXPECT_EQ(watch.output, "/srv/photos/restored");
  const Watch defaults;
  for (const auto& key : watch_keys()) {
    if (key.example.empty()) {
      EXPECT_EQ(key.get(watch), key.get(defaults)) << key.path;
    }
  }
}

TEST(Example, MentionsEveryKey) {
  const std::string example = example_config();
  for (const auto& key : config_keys()) EXPECT_THAT(example, HasSubstr(key.path.substr(key.path.find('.') + 1) + ":"));
  for (const auto& key : watch_keys()) EXPECT_THAT(example, HasSubstr(key.path + ":"));
}

TEST(ConfigurationPage, HasARowForEveryKey) {
  const std::string page = configuration_page();
  for (const auto& key : config_keys()) EXPECT_THAT(page, HasSubstr("\n| `" + key.path + "` |"));
  for (const auto& key : watch_keys()) EXPECT_THAT(page, HasSubstr("\n| `" + key.path + "` |"));
}

TEST(Keys, AreAllExplained) {
  const auto check = [](const auto& key) {
    EXPECT_FALSE(key.allowed.empty()) << key.path;
    EXPECT_TRUE(key.doc.ends_with('.')) << key.path;
  };
  for (const auto& key : config_keys()) {
    check(key);
    const auto dot = key.path.find('.');
    if (dot != std::string::npos) {
      EXPECT_FALSE(section_doc(key.path.substr(0, dot)).empty()) << key.path;
    }
  }
  for (const auto& key : watch_keys()) check(key);
}

TEST(Yaml, OfAConfigurationReadsBackAsTheSame) {
  const std::string text = R"(
state_dir: "/srv/state: with \"quotes\" \\ and # signs"
model_dirs: [/a, "/b, c"]
memory: 3GiB
device: cpu
network: other
zmq: {requests: "tcp://127.0.0.1:5555", mode: 0600}
http: {listen: "[::1]:9000"}
tile: {batch: 4, max_wait: 1500ms}
preview: {megapixels: 0.25}
retry: {backoff: [1s, 2m]}
watch:
  - {name: "~", path: /p, output: /o, on_success: move, move_to: /m, recursive: false, priority: -3}
  - {name: "Gro\u00dfe Bilder", path: /q, output: /r}
)";
  const Config config = parsed(text);
  ASSERT_EQ(config.watch.size(), 2U);
  const std::string written = to_yaml(config);
  EXPECT_THAT(changed_keys(config, parsed(written)), IsEmpty()) << written;
  EXPECT_EQ(to_yaml(parsed(written)), written);
}

TEST(Yaml, OfTheDefaultsReadsBackAsTheSame) {
  const Config config = default_config(an_environment());
  EXPECT_THAT(changed_keys(config, parsed(to_yaml(config))), IsEmpty());
}

}  // namespace
}  // namespace retouchd::config
