#include "config/reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Environment an_environment() {
  Environment environment;
  environment.home = "/home/ada";
  environment.state_directory = "/var/lib/retouchd";
  environment.runtime_directory = "/run/retouchd";
  environment.physical_memory = gibibytes(8);
  return environment;
}

Config parsed(std::string_view text) {
  auto config = read_config_text(text, "c.yaml", an_environment());
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *config : Config{};
}

std::string errors_of(std::string_view text) {
  const auto config = read_config_text(text, "c.yaml", an_environment());
  if (config) return "accepted";
  EXPECT_EQ(config.error().code, ErrorCode::kBadConfig);
  return config.error().message;
}

TEST(Reader, GivesTheDefaultsForNothing) {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "tile:\nwatch:\n"}) {
    const Config config = parsed(text);
    EXPECT_EQ(config.file, "");
    EXPECT_EQ(config.state_dir, "/var/lib/retouchd");
    EXPECT_EQ(config.runtime_dir, "/run/retouchd");
    EXPECT_EQ(config.memory, gibibytes(4));
    EXPECT_EQ(config.network, "student-tiny");
    EXPECT_EQ(config.device, "auto");
    EXPECT_EQ(config.zmq.requests, "ipc:///run/retouchd/requests.sock");
    EXPECT_EQ(config.zmq.events, "ipc:///run/retouchd/events.sock");
    EXPECT_EQ(config.http.listen, "127.0.0.1:9464");
    EXPECT_TRUE(config.watch.empty());
  }
}

TEST(Reader, FollowsTheFoldersThatAreSet) {
  const Config config = parsed("{state_dir: ~/state, runtime_dir: /run/other}");
  EXPECT_EQ(config.state_dir, "/home/ada/state");
  EXPECT_EQ(config.zmq.requests, "ipc:///run/other/requests.sock");
}

TEST(Reader, SetsEveryKey) {
  const Config config = parsed(R"(
state_dir: /s
runtime_dir: /r
model_dirs: [/m1, ~/m2]
memory: 3GiB
network: restormer-denoise
device: cuda
drain_timeout: 90s
zmq: {enabled: false, requests: "tcp://127.0.0.1:5555", events: "ipc:///r/e.sock", mode: 0600, max_message: 1MiB}
http: {enabled: false, listen: "[::1]:8080"}
tile: {size: 256, batch: 4, max_wait: 20ms}
preview: {enabled: false, megapixels: 0.5, quality: 70}
output: {jpeg_quality: 90, png_level: 9, webp_quality: 80, metadata: strip}
limits: {megapixels: 50.5, side: 30000, file_size: 1GiB, queued_jobs: 10}
retry: {attempts: 5, backoff: [1s, 2m]}
workers: {decode: 1, encode: 2, infer: 3}
retention: {done: 7d, failed: 48h}
log: {level: warning}
)");
  EXPECT_EQ(config.state_dir, "/s");
  EXPECT_EQ(config.runtime_dir, "/r");
  EXPECT_THAT(config.model_dirs, ElementsAre("/m1", "/home/ada/m2"));
  EXPECT_EQ(config.memory, gibibytes(3));
  EXPECT_EQ(config.network, "restormer-denoise");
  EXPECT_EQ(config.device, "cuda");
  EXPECT_EQ(config.drain_timeout, 90s);
  EXPECT_FALSE(config.zmq.enabled);
  EXPECT_EQ(config.zmq.requests, "tcp://127.0.0.1:5555");
  EXPECT_EQ(config.zmq.events, "ipc:///r/e.sock");
  EXPECT_EQ(config.zmq.mode, 0600U);
  EXPECT_EQ(config.zmq.max_message, mebibytes(1));
  EXPECT_FALSE(config.http.enabled);
  EXPECT_EQ(config.http.listen, "[::1]:8080");
  EXPECT_EQ(config.tile.size, 256);
  EXPECT_EQ(config.tile.batch, 4);
  EXPECT_EQ(config.tile.max_wait, 20ms);
  EXPECT_FALSE(config.preview.enabled);
  EXPECT_EQ(config.preview.megapixels, 0.5);
  EXPECT_EQ(config.preview.quality, 70);
  EXPECT_EQ(config.output.jpeg_quality, 90);
  EXPECT_EQ(config.output.png_level, 9);
  EXPECT_EQ(config.output.webp_quality, 80);
  EXPECT_EQ(config.output.metadata, Output::Metadata::kStrip);
  EXPECT_EQ(config.limits.megapixels, 50.5);
  EXPECT_EQ(config.limits.side, 30'000U);
  EXPECT_EQ(config.limits.file_size, gibibytes(1));
  EXPECT_EQ(config.limits.queued_jobs, 10);
  EXPECT_EQ(config.retry.attempts, 5);
  EXPECT_THAT(config.retry.backoff, ElementsAre(1s, 2min));
  EXPECT_EQ(config.workers.decode, 1);
  EXPECT_EQ(config.workers.encode, 2);
  EXPECT_EQ(config.workers.infer, 3);
  EXPECT_EQ(config.retention.done, 168h);
  EXPECT_EQ(config.retention.failed, 48h);
  EXPECT_EQ(config.log.level, Log::Level::kWarning);
}

TEST(Reader, SetsEveryKeyOfAWatch) {
  const Config config = parsed(R"(
watch:
  - name: night
    path: ~/in/
    output: /out
    recursive: false
    settle: 500ms
    settle_unseen: 10s
    rescan: 1m
    on_success: move
    move_to: /originals
    network: other
    priority: -5
  - {path: /second/scans, output: /second/out, on_success: delete}
)");
  ASSERT_EQ(config.watch.size(), 2U);
  const Watch& watch = config.watch[0];
  EXPECT_EQ(watch.name, "night");
  EXPECT_EQ(watch.path, "/home/ada/in");
  EXPECT_EQ(watch.output, "/out");
  EXPECT_FALSE(watch.recursive);
  EXPECT_EQ(watch.settle, 500ms);
  EXPECT_EQ(watch.settle_unseen, 10s);
  EXPECT_EQ(watch.rescan, 60s);
  EXPECT_EQ(watch.on_success, Watch::OnSuccess::kMove);
  EXPECT_EQ(watch.move_to, "/originals");
  EXPECT_EQ(watch.network, "other");
  EXPECT_EQ(watch.priority, -5);
  EXPECT_EQ(config.watch[1].name, "scans");
  EXPECT_EQ(config.watch[1].on_success, Watch::OnSuccess::kDelete);
}

TEST(Reader, NamesThePlaceOfARefusedValueAndWhatIsAllowed) {
  EXPECT_EQ(errors_of("tile:\n  size: 500\n"),
            "c.yaml:2:9: tile.size: `500` is not allowed; expected a multiple of 8 from 128 to 2048");
  EXPECT_EQ(errors_of("device: gpu"), "c.yaml:1:9: device: `gpu` is not allowed; expected auto, cpu, cuda, cuda:<number>, mps, simulated or http://<host>:<port>, or several with commas between");
  EXPECT_EQ(errors_of("preview: {megapixels: 11}"),
            "c.yaml:1:23: preview.megapixels: `11` is not allowed; expected a number from 0.05 to 10");
  EXPECT_EQ(errors_of("http:\n  enabled: yes\n"), "c.yaml:2:12: http.enabled: `yes` is not allowed; expected true or false");
  EXPECT_EQ(errors_of("state_dir: photos"),
            "c.yaml:1:12: state_dir: `photos` is not allowed; expected auto or an absolute path, or one that begins with ~/: "
            "relative paths would depend on where retouchd is started");
}

TEST(Reader, SaysWhichUnitIsMissing) {
  EXPECT_EQ(errors_of("drain_timeout: 30"),
            "c.yaml:1:16: drain_timeout: `30` is not allowed; expected a duration from 0s to 1h: write a whole number and one of "
            "the units ms, s, m, h, d");
  EXPECT_EQ(errors_of("memory: 8GB"),
            "c.yaml:1:9: memory: `8GB` is not allowed; expected auto or a size from 64MiB to 64TiB: write a whole number and one "
            "of the units KiB, MiB, GiB, TiB, or plain bytes");
}

TEST(Reader, RefusesWhatIsFinerThanTheSetting) {
  EXPECT_EQ(
      errors_of("drain_timeout: 1500ms"),
      "c.yaml:1:16: drain_timeout: `1500ms` is not allowed; expected a duration from 0s to 1h: finer than this setting can be");
}

TEST(Reader, RefusesEndpointsBeyondThisMachine) {
  EXPECT_THAT(
      errors_of("zmq:\n  requests: tcp://0.0.0.0:5555\n"),
      testing::AllOf(StartsWith("c.yaml:2:13: zmq.requests: `tcp://0.0.0.0:5555` is not allowed; expected auto or ipc://"),
                     HasSubstr("only this machine's own addresses are allowed")));
  EXPECT_THAT(errors_of("http: {listen: 0.0.0.0:80}"), StartsWith("c.yaml:1:16: http.listen: `0.0.0.0:80` is not allowed"));
}

TEST(Reader, NamesThePlaceOfARefusedListEntry) {
  EXPECT_EQ(
      errors_of("retry:\n  backoff:\n    - 10s\n    - soon\n"),
      "c.yaml:4:7: retry.backoff: `soon` is not allowed; expected a list, each entry a duration from 0s to 1d: write a whole "
      "number and one of the units ms, s, m, h, d");
  EXPECT_EQ(
      errors_of("retry: {backoff: []}"),
      "c.yaml:1:18: retry.backoff: a list of 0 is not allowed; expected a list, each entry a duration from 0s to 1d: from 1 "
      "to 20 entries are needed");
}

TEST(Reader, RefusesTheWrongShape) {
  EXPECT_EQ(errors_of("network: [a, b]"),
            "c.yaml:1:10: network: expected a name listed by `retouch models` (letters, digits, - _ .), found a list");
  EXPECT_EQ(errors_of("retry: {backoff: 10s}"),
            "c.yaml:1:18: retry.backoff: expected a list, each entry a duration from 0s to 1d, found `10s`");
  EXPECT_EQ(errors_of("tile: 512"), "c.yaml:1:7: tile: expected a mapping with size, batch, max_wait, found `512`");
  EXPECT_EQ(errors_of("- a\n- b\n"), "c.yaml:1:1: expected `key: value` lines, found a list");
  EXPECT_EQ(errors_of("watch: /photos"),
            "c.yaml:1:8: watch: expected a list of folders, each beginning with `- path: /...`, found `/photos`");
  EXPECT_EQ(errors_of("watch:\n  - /photos\n"),
            "c.yaml:2:5: watch: expected an entry with `path:` and `output:`, found `/photos`");
  EXPECT_EQ(errors_of("[a]: 1"), "c.yaml:1:1: a key must be a word, found a list");
}

TEST(Reader, ExplainsALoneTilde) {
  EXPECT_EQ(
      errors_of("state_dir: ~"),
      "c.yaml:1:12: state_dir: expected auto or an absolute path, or one that begins with ~/, found nothing (in YAML a lone ~ "
      "means nothing; write ~/ for your home folder)");
}

TEST(Reader, SuggestsTheNearestKnownKey) {
  EXPECT_EQ(errors_of("netwrok: a"), "c.yaml:1:1: unknown key `netwrok`; did you mean `network`?");
  EXPECT_EQ(errors_of("tile:\n  sise: 512\n"), "c.yaml:2:3: unknown key `tile.sise`; did you mean `tile.size`?");
  EXPECT_EQ(errors_of("watch:\n  - path: /p\n    output: /o\n    setle: 2s\n"),
            "c.yaml:4:5: unknown key `watch.setle`; did you mean `watch.settle`?");
  EXPECT_EQ(errors_of("watches: []"), "c.yaml:1:1: unknown key `watches`; did you mean `watch`?");
  EXPECT_EQ(errors_of("frobnicate: 1"), "c.yaml:1:1: unknown key `frobnicate`");
}

TEST(Reader, FindsAKeyThatWasPutIntoTheWrongSection) {
  EXPECT_EQ(errors_of("jpeg_quality: 90"), "c.yaml:1:1: unknown key `jpeg_quality`; did you mean `output.jpeg_quality`?");
  EXPECT_EQ(errors_of("tile.size: 256"), "c.yaml:1:1: unknown key `tile.size`; write `size:` indented below `tile:`");
}

TEST(Reader, ReportsTheKeysOfAMistypedSection) {
  EXPECT_EQ(errors_of("tiles:\n  size: 256\n  batch: 2\n"),
            "c.yaml:2:3: unknown key `tiles.size`; did you mean `tile.size`?\n"
            "c.yaml:3:3: unknown key `tiles.batch`; did you mean `tile.batch`?");
}

TEST(Reader, RefusesAKeyThatIsSetTwice) {
  EXPECT_EQ(errors_of("device: cpu\nnetwork: a\ndevice: cuda\n"),
            "c.yaml:3:1: duplicate key `device`; it is already set in line 1");
}

TEST(Reader, AsksForWhatAWatchCannotDoWithout) {
  EXPECT_EQ(errors_of("watch:\n  - name: scans\n    path: /p\n"),
            "c.yaml:2:5: watch.output: missing; The folder that receives the results, with the same subfolders; outside of every "
            "watched folder.");
}

TEST(Reader, NamesThePlaceOfAContradiction) {
  EXPECT_THAT(errors_of("watch:\n  - path: /p\n    output: /p/out\n"),
              StartsWith("c.yaml:3:13: watch.output: `/p/out` is inside the watched folder `/p`"));
  EXPECT_THAT(errors_of("watch:\n  - {path: /p, output: /o, on_success: move}\n"), StartsWith("c.yaml:2:40: watch.on_success:"));
  EXPECT_THAT(errors_of("watch:\n  - {path: /a/x, output: /o1}\n  - {path: /b/x, output: /o2}\n"),
              StartsWith("c.yaml:3:5: watch.name: `x` is the name of two watches"));
}

TEST(Reader, DoesNotMisleadAboutSettingsThatWereRefused) {
  EXPECT_THAT(errors_of("watch:\n  - {path: /p, output: /o, on_success: move, move_to: m}\n"),
              testing::Not(HasSubstr("needs `move_to`")));
}

TEST(Reader, ReportsAllErrorsInTheirOrder) {
  EXPECT_EQ(
      errors_of("log: {level: loud}\n"
                "tile:\n"
                "  size: 5\n"
                "devize: cpu\n"
                "watch:\n"
                "  - {path: /p, output: /p}\n"),
      "c.yaml:1:14: log.level: `loud` is not allowed; expected debug, info, warning or error\n"
      "c.yaml:3:9: tile.size: `5` is not allowed; expected a multiple of 8 from 128 to 2048\n"
      "c.yaml:4:1: unknown key `devize`; did you mean `device`?\n"
      "c.yaml:6:24: watch.output: `/p` is inside the watched folder `/p`, so results would be restored again; choose a folder "
      "outside");
}

TEST(Reader, NamesThePlaceOfASyntaxError) {
  EXPECT_THAT(errors_of("tile: {size: 512\nnetwork: a\n"), testing::MatchesRegex("c\\.yaml:[0-9]+:[0-9]+: not valid YAML: .*"));
  EXPECT_THAT(errors_of("device: cpu\nnetwork: a: b\n"), StartsWith("c.yaml:2:11: not valid YAML: "));
  EXPECT_EQ(errors_of("tile:\n\tsize: 512\n"), "c.yaml:2:1: not valid YAML: a tab indents this line; write spaces");
  EXPECT_THAT(errors_of("a: *b\n"), StartsWith("c.yaml:1:4: not valid YAML: "));
  EXPECT_EQ(errors_of("network: a\n---\nnetwork: b\n"), "c.yaml: holds several YAML documents (`---`); one is expected");
}

TEST(Reader, QuotesAtMostABitOfAStrangeValueOnOneLine) {
  const std::string message = errors_of(fmt::format("device: {:x>5000}", ""));
  EXPECT_LT(message.size(), 300U);
  EXPECT_EQ(errors_of("device: \"a\\nb\""), "c.yaml:1:9: device: `a b` is not allowed; expected auto, cpu, cuda, cuda:<number>, mps, simulated or http://<host>:<port>, or several with commas between");
}

class ConfigFiles : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(ConfigFiles, AreReadAndRemembered) {
  const fs::path file = folder_.write("config.yaml", "tile: {size: 256}\n");
  const auto config = read_config(file, an_environment());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->file, file);
  EXPECT_EQ(config->tile.size, 256);
}

TEST_F(ConfigFiles, AreMergedInTheOrderOfTheirNames) {
  const fs::path file = folder_.write("config.yaml", "{tile: {size: 256, batch: 2}, watch: [{path: /a, output: /x}]}\n");
  folder_.write("conf.d/20-late.yaml", "{tile: {size: 1024}, model_dirs: [/late]}\n");
  folder_.write("conf.d/10-early.yaml", "{tile: {size: 512}, model_dirs: [/early], watch: [{path: /b, output: /y}]}\n");
  folder_.write("conf.d/30-ignored.yaml.bak", "nonsense\n");
  folder_.write("conf.d/.hidden.yaml", "nonsense\n");
  const auto config = read_config(file, an_environment());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->tile.size, 1024);
  EXPECT_EQ(config->tile.batch, 2);
  EXPECT_THAT(config->model_dirs, ElementsAre("/late"));
  ASSERT_EQ(config->watch.size(), 2U);
  EXPECT_EQ(config->watch[0].path, "/a");
  EXPECT_EQ(config->watch[1].path, "/b");
}

TEST_F(ConfigFiles, AreAllCheckedBeforeTheErrorsAreTold) {
  const fs::path file = folder_.write("config.yaml", "device: gpu\ntile: {\n");
  folder_.write("conf.d/a.yaml", "netwrok: x\n");
  const auto config = read_config(file, an_environment());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, StartsWith(at("config.yaml") + ":"));
  EXPECT_THAT(config.error().message, HasSubstr(at("conf.d/a.yaml") + ":1:1: unknown key `netwrok`; did you mean `network`?"));
}

TEST_F(ConfigFiles, NameTheFileThatSetAContradictingValue) {
  const fs::path file = folder_.write("config.yaml", "watch: [{path: /p, output: /o}]\n");
  folder_.write("conf.d/a.yaml", "state_dir: /p/state\n");
  const auto config = read_config(file, an_environment());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message,
              StartsWith(at("conf.d/a.yaml") + ":1:12: state_dir: `/p/state` is inside the watched folder"));
}

TEST_F(ConfigFiles, MayBeEmptyButMustExist) {
  EXPECT_TRUE(read_config(folder_.write("config.yaml", ""), an_environment()));
  const auto missing = read_config(folder_.path() / "none.yaml", an_environment());
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(missing.error().message, StartsWith(at("none.yaml") + ": "));
}

TEST_F(ConfigFiles, OfUnreasonableSizeAreRefused) {
  const auto config = read_config(folder_.write("config.yaml", std::string(2 << 20, '#')), an_environment());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message, at("config.yaml") + ": larger than 1 MiB");
}

TEST_F(ConfigFiles, AreFoundUnlessOneIsChosen) {
  Environment environment = an_environment();
  environment.home = folder_.path() / "home";
  environment.system_config_dir = folder_.path() / "etc";
  auto config = load_config(std::nullopt, environment);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->file, "");
  EXPECT_EQ(config->tile.size, 512);
  folder_.write("etc/config.yaml", "tile: {size: 256}");
  config = load_config(std::nullopt, environment);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->file, at("etc/config.yaml"));
  EXPECT_EQ(config->tile.size, 256);
  const fs::path chosen = folder_.write("mine.yaml", "tile: {size: 128}");
  config = load_config(chosen, environment);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->tile.size, 128);
}

TEST(DefaultConfig, IsWhatAnEmptyFileGives) {
  const Config config = default_config(an_environment());
  EXPECT_EQ(config.state_dir, "/var/lib/retouchd");
  EXPECT_EQ(config.zmq.events, "ipc:///run/retouchd/events.sock");
  EXPECT_EQ(config.memory, gibibytes(4));
}

TEST(Reader, TakesTheAddressesOfOtherMachines) {
  const Config config = parsed(
      "cloud: {node: 'tcp://cloud.example:9465', server_key: 'Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID', fallback: queue,"
      " escalations_per_hour: unlimited, answer: small}\n"
      "serve: {listen: 'tcp://10.0.0.1:9465'}\ncallbacks: {url: 'https://example.org/hook', events: [done, preview]}");
  EXPECT_EQ(config.cloud.node, "tcp://cloud.example:9465");
  EXPECT_EQ(config.cloud.escalations_per_hour, 0);
  EXPECT_EQ(config.cloud.fallback, Cloud::Fallback::kQueue);
  EXPECT_EQ(config.serve.listen, "tcp://10.0.0.1:9465");
  EXPECT_EQ(config.callbacks.events.size(), 2U);
  for (const char* text : {"cloud: {node: 'cloud:9465'}", "cloud: {node: 'tcp://cloud'}", "cloud: {node: 'tcp://u@cloud:1'}",
                           "cloud: {node: 'http://cloud:80/v2'}", "cloud: {server_key: short}", "serve: {listen: 'ipc:///x'}",
                           "callbacks: {url: 'ftp://x'}", "callbacks: {url: 'http://user:pw@host/'}",
                           "callbacks: {events: [finished]}", "cascade: {policy: maybe}"}) {
    EXPECT_NE(errors_of(text), "accepted") << text;
  }
}

}  // namespace
}  // namespace retouchd::config
