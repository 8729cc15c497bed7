#include "daemon/stats_json.h"

#include <gmock/gmock.h>

namespace retouchd::daemon {
namespace {

using nlohmann::json;

Snapshot busy_snapshot() {
  Snapshot snapshot;
  snapshot.version = "1.2.3";
  snapshot.device = "CPU, 2 threads";
  snapshot.network = "detail";
  snapshot.uptime = std::chrono::seconds(75);
  snapshot.jobs = {7, 2, 1, 40, 3, 4};
  snapshot.jobs_done = 12;
  snapshot.queues = {{"infer", 64, mebibytes(96)}};
  snapshot.devices = {{"cpu", true, 2, {}}};
  snapshot.devices[0].load.busy_ratio = 0.9;
  snapshot.devices[0].load.starved_s[1] = 3.5;
  snapshot.devices[0].load.tiles_per_s = 41;
  snapshot.devices[0].load.batch_fill = 0.75;
  snapshot.clients = {{"zmq", 3e6, false}, {"watch:family", 1e6, true}};
  snapshot.running = {{17, "a.jpg", "infer", 3, 12}};
  snapshot.cloud = CloudSnapshot{"tcp://cloud:1", "open", 7, {}};
  snapshot.memory_budget = gibibytes(4);
  snapshot.memory_reserved = gibibytes(1);
  snapshot.ready = true;
  return snapshot;
}

TEST(StatsJson, HasEveryFieldThatTheProtocolNames) {
  const json stats = stats_json(busy_snapshot());
  const json starved{{"no_work", 0.0}, {"decode", 3.5}, {"preview", 0.0}, {"upload", 0.0},
                     {"merge", 0.0},   {"encode", 0.0}, {"memory", 0.0}};
  const json device{{"name", "cpu"},        {"up", true},          {"batches_in_flight", 2}, {"busy_ratio", 0.9},
                    {"starved_s", starved}, {"tiles_per_s", 41.0}, {"batch_fill", 0.75},     {"waste_ratio", nullptr}};
  const json jobs{{"queued", 7}, {"running", 2},   {"publishing", 1}, {"done", 40},
                  {"failed", 3}, {"cancelled", 4}, {"escalated", 0}};
  EXPECT_EQ(stats,
            (json{{"version", "1.2.3"},
                  {"device", "CPU, 2 threads"},
                  {"network", "detail"},
                  {"uptime_s", 75},
                  {"ready", true},
                  {"draining", false},
                  {"jobs", jobs},
                  {"jobs_per_minute", 12},
                  {"devices", json::array({device})},
                  {"memory", {{"budget", 4LL << 30}, {"reserved", 1LL << 30}}},
                  {"cloud", {{"node", "tcp://cloud:1"}, {"breaker", "open"}, {"escalations_left", 7}, {"bytes_left", nullptr}}},
                  {"queues", json::array({{{"stage", "infer"}, {"items", 64}, {"bytes", 96 << 20}}})},
                  {"clients", json::array({{{"name", "watch:family"}, {"share", 0.25}, {"megapixels", 1.0}, {"waiting", true}},
                                           {{"name", "zmq"}, {"share", 0.75}, {"megapixels", 3.0}, {"waiting", false}}})},
                  {"client_count", 2},
                  {"fairness", fairness_index(busy_snapshot().clients)},
                  {"running", json::array({{{"id", 17}, {"name", "a.jpg"}, {"stage", "infer"}, {"done", 3}, {"total", 12}}})}}));
}

TEST(StatsJson, TellsOnlySomeOfManyClients) {
  Snapshot snapshot;
  for (int i = 0; i < 100; ++i) snapshot.clients.push_back({"client " + std::to_string(i), 1.0 * i, false});
  const json stats = stats_json(snapshot);
  EXPECT_EQ(stats["clients"].size(), kMostClientsTold);
  EXPECT_EQ(stats["clients"][0]["name"], "client 99");
  EXPECT_EQ(stats["client_count"], 100);
}

TEST(StatsJson, OfNothingIsStillComplete) {
  const json stats = stats_json({});
  EXPECT_EQ(stats["devices"], json::array());
  EXPECT_TRUE(stats["cloud"].is_null());
  EXPECT_EQ(stats["clients"], json::array());
  EXPECT_EQ(stats["running"], json::array());
  EXPECT_EQ(stats["fairness"], 1.0);
  EXPECT_EQ(stats["ready"], false);
}

TEST(StatsJson, IsNotReadyWhileItDrains) {
  Snapshot snapshot = busy_snapshot();
  snapshot.draining = true;
  EXPECT_EQ(stats_json(snapshot)["ready"], false);
}

}  // namespace
}  // namespace retouchd::daemon
