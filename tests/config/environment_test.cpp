#include "config/environment.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "tests/temporary_folder.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

using Values = std::map<std::string, std::string>;

// Sets variables of the process, and puts back what they were.
class Variables {
 public:
  explicit Variables(const Values& values) {
    for (const char* name :
         {"HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"}) {
      const char* old = std::getenv(name);
      old_[name] = old == nullptr ? std::optional<std::string>{} : std::optional<std::string>{old};
      const auto wanted = values.find(name);
      set(name, wanted == values.end() ? std::nullopt : std::optional(wanted->second));
    }
  }
  ~Variables() {
    for (const auto& [name, value] : old_) set(name, value);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  static void set(const std::string& name, const std::optional<std::string>& value) {
    value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

  std::map<std::string, std::optional<std::string>> old_;
};

TEST(Environment, IsReadFromTheProcess) {
  const Variables variables(Values{{"HOME", "/home/ada"},
                                   {"XDG_CONFIG_HOME", "/c"},
                                   {"XDG_STATE_HOME", "/s"},
                                   {"XDG_RUNTIME_DIR", "/run/user/7"},
                                   {"STATE_DIRECTORY", "/var/lib/retouchd"},
                                   {"RUNTIME_DIRECTORY", "/run/retouchd"}});
  const Environment environment = Environment::of_process();
  EXPECT_EQ(environment.home, "/home/ada");
  EXPECT_EQ(environment.xdg_config_home, "/c");
  EXPECT_EQ(environment.xdg_state_home, "/s");
  EXPECT_EQ(environment.xdg_runtime_dir, "/run/user/7");
  EXPECT_EQ(environment.state_directory, "/var/lib/retouchd");
  EXPECT_EQ(environment.runtime_directory, "/run/retouchd");
  EXPECT_EQ(environment.uid, geteuid());
  EXPECT_GT(environment.physical_memory, mebibytes(1));
}

TEST(Environment, IgnoresRelativePathsAsTheXdgRulesAsk) {
  const Variables variables(Values{{"HOME", "/home/ada"}, {"XDG_CONFIG_HOME", "config"}, {"XDG_STATE_HOME", ""}});
  const Environment environment = Environment::of_process();
  EXPECT_EQ(environment.xdg_config_home, "");
  EXPECT_EQ(environment.xdg_state_home, "");
}

TEST(Environment, TakesTheFirstOfSeveralStateDirectories) {
  const Variables variables(Values{{"STATE_DIRECTORY", "/var/lib/retouchd:/var/lib/other"}});
  EXPECT_EQ(Environment::of_process().state_directory, "/var/lib/retouchd");
}

TEST(Environment, AsksThePasswordFileWhenHomeIsUnset) {
  const Variables variables(Values{});
  EXPECT_TRUE(Environment::of_process().home.is_absolute());
}

TEST(StateFolder, IsSystemdsThenXdgsThenBelowHomeThenTheSystems) {
  Environment environment;
  EXPECT_EQ(default_state_dir(environment), "/var/lib/retouchd");
  environment.home = "/home/ada";
  EXPECT_EQ(default_state_dir(environment), "/home/ada/.local/state/retouchd");
  environment.xdg_state_home = "/s";
  EXPECT_EQ(default_state_dir(environment), "/s/retouchd");
  environment.state_directory = "/var/lib/retouchd-2";
  EXPECT_EQ(default_state_dir(environment), "/var/lib/retouchd-2");
}

TEST(RuntimeFolder, IsSystemdsThenXdgsThenBelowTheState) {
  Environment environment;
  EXPECT_EQ(default_runtime_dir(environment, "/s/retouchd"), "/s/retouchd/run");
  environment.xdg_runtime_dir = "/run/user/7";
  EXPECT_EQ(default_runtime_dir(environment, "/s/retouchd"), "/run/user/7/retouchd");
  environment.runtime_directory = "/run/retouchd";
  EXPECT_EQ(default_runtime_dir(environment, "/s/retouchd"), "/run/retouchd");
}

TEST(DefaultMemory, IsHalfOfTheMachinesButNeverTooLittleToWork) {
  Environment environment;
  EXPECT_EQ(default_memory(environment), mebibytes(256));
  environment.physical_memory = mebibytes(300);
  EXPECT_EQ(default_memory(environment), mebibytes(256));
  environment.physical_memory = gibibytes(8);
  EXPECT_EQ(default_memory(environment), gibibytes(4));
}

class ConfigFile : public testing::Test {
 protected:
  ConfigFile() {
    environment_.home = folder_.path() / "home";
    environment_.system_config_dir = folder_.path() / "etc/retouchd";
  }

  TemporaryFolder folder_;
  Environment environment_;
};

TEST_F(ConfigFile, IsNoneWhenNoneExists) { EXPECT_EQ(find_config_file(environment_), std::nullopt); }

TEST_F(ConfigFile, IsTheUsersBeforeTheSystems) {
  const fs::path system = folder_.write("etc/retouchd/config.yaml", "");
  EXPECT_EQ(find_config_file(environment_), system);
  const fs::path user = folder_.write("home/.config/retouchd/config.yaml", "");
  EXPECT_EQ(find_config_file(environment_), user);
}

TEST_F(ConfigFile, IsBelowXdgConfigHomeInsteadOfHomeWhenThatIsSet) {
  folder_.write("home/.config/retouchd/config.yaml", "");
  environment_.xdg_config_home = folder_.path() / "xdg";
  EXPECT_EQ(find_config_file(environment_), std::nullopt);
  const fs::path user = folder_.write("xdg/retouchd/config.yaml", "");
  EXPECT_EQ(find_config_file(environment_), user);
}

// Falling back to the defaults would hide a file that the user wrote.
TEST_F(ConfigFile, CountsEvenWhenItCannotBeLookedAt) {
  const fs::path loop = folder_.path() / "etc/retouchd/config.yaml";
  fs::create_directories(loop.parent_path());
  fs::create_symlink(loop, loop);
  EXPECT_EQ(find_config_file(environment_), loop);
}

}  // namespace
}  // namespace retouchd::config
