#include "cli/top_layout.h"

#include <gmock/gmock.h>

#include "cli/cells.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

json device(const std::string& name, double busy) {
  return {{"name", name},
          {"up", true},
          {"batches_in_flight", 2},
          {"busy_ratio", busy},
          {"starved_s", {{"no_work", 0.0}, {"decode", 0.4}, {"memory", 2.0}}},
          {"tiles_per_s", 412.34},
          {"batch_fill", 0.97},
          {"waste_ratio", 1.184}};
}

json job(int id, const std::string& name, int done, int total) {
  return {{"id", id}, {"name", name}, {"stage", "infer"}, {"done", done}, {"total", total}};
}

json small_stats() {
  return {{"version", "1.2.3"},
          {"device", "CPU, 2 threads"},
          {"network", "detail"},
          {"uptime_s", 11'541},
          {"ready", true},
          {"draining", false},
          {"jobs", {{"queued", 123}, {"running", 4}, {"publishing", 0}, {"done", 998}, {"failed", 0}, {"cancelled", 2}}},
          {"jobs_per_minute", 12},
          {"devices", json::array({device("cpu", 0.5)})},
          {"memory", {{"budget", 4LL << 30}, {"reserved", 1LL << 30}}},
          {"queues", json::array({{{"stage", "decode"}, {"items", 12}, {"bytes", 1}}, {{"stage", "infer"}, {"items", 64}}})},
          {"clients", json::array({{{"name", "watch:family"}, {"share", 0.75}, {"megapixels", 812.0}, {"waiting", true}},
                                   {{"name", "zmq"}, {"share", 0.25}, {"megapixels", 271.0}, {"waiting", false}}})},
          {"client_count", 2},
          {"fairness", 0.987},
          {"running", json::array({job(17, "holiday/a.jpg", 12, 48), job(18, "b.png", 0, 0)})}};
}

json crowded_stats() {
  json stats = small_stats();
  for (int i = 0; i < 8; ++i) stats["devices"].push_back(device("cuda:" + std::to_string(i), 0.9));
  for (int i = 0; i < 18; ++i) {
    stats["clients"].push_back({{"name", "client " + std::to_string(i)}, {"share", 0.0}, {"waiting", true}});
    stats["running"].push_back(job(100 + i, std::string(200, 'x') + "写真.jpg", i, 20));
  }
  stats["client_count"] = 57;
  return stats;
}

TEST(TopLayout, ShowsEverythingInEightyColumns) {
  EXPECT_THAT(top_lines(small_stats(), {80, 24}),
              ElementsAre("retouchd 1.2.3  detail on CPU, 2 threads                    ready, up 3 h 12 min",
                          "Jobs     12/min  123 queued  4 running  998 done  0 failed  2 cancelled",
                          "Memory   [#########............................]  25 %  1 GiB of 4 GiB",  //
                          "Queues   decode 12  infer 64",                                            //
                          "",                                                                        //
                          "DEVICE    BUSY, LAST MINUTE                       TILES/S   FILL  WASTE  BATCHES",
                          "cpu       [###############..............]  50 %     412.3   97 %   1.18        2",
                          "  idle: memory 2.0 s, decode 0.4 s",                  //
                          "",                                                    //
                          "CLIENT, fairness 0.99           SHARE, LAST MINUTE",  //
                          "watch:family                    [#########################........]  75 %  waits",
                          "zmq                             [########.........................]  25 %",   //
                          "",                                                                            //
                          "   JOB  PICTURE                         TILES",                               //
                          "    17  holiday/a.jpg                   [#####...............] 12/48 infer",  //
                          "    18  b.png                           infer"));
}

TEST(TopLayout, NeverLeavesTheTerminal) {
  for (const json& stats : {small_stats(), crowded_stats(), json::object()}) {
    for (std::size_t columns = 20; columns <= 250; columns += 5) {
      for (std::size_t rows = 1; rows <= 60; ++rows) {
        const auto lines = top_lines(stats, {columns, rows});
        EXPECT_LE(lines.size(), rows);
        for (const auto& line : lines) ASSERT_LE(cells(line), columns) << line;
      }
    }
  }
}

TEST(TopLayout, CountsWhatDoesNotFit) {
  const auto lines = top_lines(crowded_stats(), {80, 24});
  EXPECT_EQ(lines.size(), 24u);
  EXPECT_THAT(lines, Contains("  idle, all together: memory 18.0 s, decode 3.6 s")) << "instead of a line for each device";
  EXPECT_THAT(lines, Contains(HasSubstr("CLIENT, fairness")));
  EXPECT_THAT(lines.back(), testing::MatchesRegex("\\.\\.\\. and [0-9]+ more"));
  EXPECT_THAT(lines, Contains(HasSubstr("cuda:3")));
}

TEST(TopLayout, CountsClientsThatTheDaemonDidNotTell) {
  EXPECT_THAT(top_lines(crowded_stats(), {80, 0}), Contains("... and 37 more"));
}

TEST(TopLayout, UsesAsManyRowsAsItNeedsWithoutATerminal) {
  const auto lines = top_lines(crowded_stats(), {80, 0});
  EXPECT_THAT(lines, Contains(HasSubstr("cuda:7")));
  EXPECT_THAT(lines, Contains(HasSubstr("client 17")));
  EXPECT_THAT(lines.back(), HasSubstr("   117  "));
}

TEST(TopLayout, WiderTerminalsGetWiderBars) {
  const auto wide = top_lines(small_stats(), {120, 40});
  EXPECT_THAT(wide,
              Contains(testing::StartsWith("cpu       [##############################..............................]  50 %")));
}

TEST(TopLayout, SaysWhichDeviceIsDownAndThatTheDaemonStops) {
  json stats = small_stats();
  stats["devices"][0]["up"] = false;
  stats["ready"] = false;
  stats["draining"] = true;
  stats["uptime_s"] = 41;
  const auto lines = top_lines(stats, {80, 24});
  EXPECT_THAT(lines, Contains("cpu       down"));
  EXPECT_THAT(lines[0], testing::EndsWith("  draining, up 41 s"));
}

TEST(TopLayout, ShowsADashForWhatIsNotKnownYet) {
  json stats = small_stats();
  stats["devices"][0]["batch_fill"] = nullptr;
  stats["devices"][0]["waste_ratio"] = nullptr;
  EXPECT_THAT(top_lines(stats, {80, 24})[6], testing::EndsWith("    412.3      -      -        2"));
}

TEST(TopLayout, LeavesOutWhatIsNotThere) {
  const auto lines = top_lines(json::object(), {80, 24});
  EXPECT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], testing::StartsWith("retouchd"));
}

TEST(TopLayout, LetsNoNameMoveTheCursor) {
  json stats = small_stats();
  stats["running"][0]["name"] = "a\x1b[2Jb";
  for (const auto& line : top_lines(stats, {80, 24})) EXPECT_THAT(line, Not(HasSubstr("\x1b")));
}

TEST(TopLayout, ShowsTheCloudNodeWhereThereIsOne) {
  json stats = small_stats();
  stats["cloud"] = nullptr;
  EXPECT_THAT(top_lines(stats, {80, 24}), testing::Not(Contains(testing::StartsWith("Cloud"))));
  stats["cloud"] = {{"node", "tcp://cloud:9465"}, {"breaker", "open"}, {"escalations_left", 7}, {"bytes_left", nullptr}};
  EXPECT_THAT(top_lines(stats, {80, 24}), Contains("Cloud    tcp://cloud:9465  away  7 pictures left"));
}

}  // namespace
}  // namespace retouchd::cli
