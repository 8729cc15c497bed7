#include "config/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/keys.h"
#include "config/reader.h"

namespace retouchd::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Config of(const std::string& text) {
  Environment environment;
  environment.state_directory = "/var/lib/retouchd";
  environment.runtime_directory = "/run/retouchd";
  auto config = read_config_text(text, "test.yaml", environment);
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *config : Config{};
}

TEST(Changes, AreNoneBetweenEqualConfigurations) {
  const std::string text = "watch: [{path: /p, output: /o}]\ntile: {size: 256}";
  EXPECT_THAT(needs_restart(of(text), of(text)), IsEmpty());
  EXPECT_THAT(changed_keys(of(text), of(text)), IsEmpty());
}

TEST(Changes, AreNoneWhenADefaultIsSpelledOut) {
  EXPECT_THAT(changed_keys(of(""), of("{device: auto, tile: {size: 512}, state_dir: /var/lib/retouchd}")), IsEmpty());
}

TEST(Changes, ThatNeedARestartAreNamed) {
  const Config now = of("{state_dir: /s, device: cpu, zmq: {mode: 0600}, http: {listen: '127.0.0.1:1'}, tile: {size: 256}}");
  EXPECT_THAT(needs_restart(of(""), now), ElementsAre("state_dir", "device", "zmq.mode", "http.listen", "tile.size", "cloud.key",
                                                    "serve.key"));
}

TEST(Changes, ThatAReloadCanApplyAreNotNamedForARestart) {
  const Config now =
      of("{network: other, drain_timeout: 5s, limits: {side: 99}, preview: {quality: 70}, output: {metadata: strip},"
         " retry: {backoff: [1s]}, retention: {done: 1d}, log: {level: debug}, watch: [{path: /p, output: /o}]}");
  EXPECT_THAT(needs_restart(of(""), now), IsEmpty());
  EXPECT_THAT(changed_keys(of(""), now), ElementsAre("network", "drain_timeout", "preview.quality", "output.metadata",
                                                     "limits.side", "retry.backoff", "retention.done", "log.level", "watch"));
}

TEST(Changes, InAnyPartOfAWatchAreSeen) {
  const Config old = of("watch: [{path: /p, output: /o}]");
  EXPECT_THAT(changed_keys(old, of("watch: [{path: /p, output: /o, priority: 1}]")), ElementsAre("watch"));
  EXPECT_THAT(changed_keys(old, of("watch: [{path: /p, output: /o}, {path: /q, output: /r}]")), ElementsAre("watch"));
  EXPECT_THAT(changed_keys(old, of("")), ElementsAre("watch"));
}

}  // namespace
}  // namespace retouchd::config
