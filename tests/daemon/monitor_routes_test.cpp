#include "daemon/monitor_routes.h"

#include <gmock/gmock.h>

#include <mutex>
#include <nlohmann/json.hpp>

#include "exposition.h"
#include "loopback_http.h"

namespace retouchd::daemon {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class MonitorRoutes : public testing::Test {
 protected:
  void set(Snapshot snapshot) {
    const std::lock_guard lock(mutex_);
    snapshot_ = std::move(snapshot);
  }

  Metrics metrics_{{"1.0", "2.11.0", "cpu", "detail", {"submit"}}};
  std::mutex mutex_;
  Snapshot snapshot_;
  LoopbackServer server_{monitor_routes(metrics_, [this] {
    const std::lock_guard lock(mutex_);
    return snapshot_;
  })};
  LoopbackClient client_{server_.port()};
};

TEST_F(MonitorRoutes, ServeTheMetricsOfThisMoment) {
  Snapshot snapshot;
  snapshot.jobs = {3, 1, 0, 0, 0, 0};
  set(snapshot);
  metrics_.tile_finished(false);
  const auto response = client_.get("/metrics");
  EXPECT_EQ(response.result_int(), 200u);
  EXPECT_EQ(response["Content-Type"], "text/plain; version=0.0.4; charset=utf-8");
  const Exposition text(response.body());
  EXPECT_EQ(text[R"(retouchd_jobs{state="queued"})"], 3);
  EXPECT_EQ(text[R"(retouchd_tiles_total{kind="picture"})"], 1);
}

TEST_F(MonitorRoutes, AreHealthyAsLongAsTheyAnswer) {
  const auto response = client_.get("/healthz");
  EXPECT_EQ(response.result_int(), 200u);
  EXPECT_EQ(json::parse(response.body()), (json{{"status", "ok"}}));
}

TEST_F(MonitorRoutes, SayWhyTheDaemonIsNotReady) {
  const auto starting = client_.get("/readyz");
  EXPECT_EQ(starting.result_int(), 503u);
  EXPECT_EQ(json::parse(starting.body()), (json{{"status", "not_ready"}, {"reasons", {"starting"}}}));

  Snapshot snapshot;
  snapshot.not_ready_reason = "loading the network \"detail\"";
  snapshot.devices = {{"cuda:0", false}};
  set(snapshot);
  EXPECT_EQ(json::parse(client_.get("/readyz").body()).at("reasons"),
            (json{"loading the network \"detail\"", "device cuda:0 is down"}));
}

TEST_F(MonitorRoutes, AreReadyWhileOneDeviceWorks) {
  Snapshot snapshot;
  snapshot.ready = true;
  snapshot.devices = {{"cuda:0", false}, {"cpu", true}};
  set(snapshot);
  const auto response = client_.get("/readyz");
  EXPECT_EQ(response.result_int(), 200u);
  EXPECT_EQ(json::parse(response.body()), (json{{"status", "ready"}, {"reasons", json::array()}}));
}

TEST_F(MonitorRoutes, AreNotReadyWhileDraining) {
  Snapshot snapshot;
  snapshot.ready = true;
  snapshot.draining = true;
  set(snapshot);
  const auto response = client_.get("/readyz");
  EXPECT_EQ(response.result_int(), 503u);
  EXPECT_EQ(json::parse(response.body()).at("status"), "draining");
}

TEST_F(MonitorRoutes, ShowAPageWithEscapedNames) {
  Snapshot snapshot;
  snapshot.jobs = {12, 1, 0, 0, 0, 0};
  snapshot.not_ready_reason = "a < b";
  intake::WatchStatus watch;
  watch.name = "<script>alert(1)</script>";
  snapshot.watches = {watch};
  set(snapshot);
  const auto response = client_.get("/");
  EXPECT_EQ(response["Content-Type"], "text/html; charset=utf-8");
  EXPECT_THAT(response.body(), HasSubstr("<td>queued</td><td class=\"n\">12</td>"));
  EXPECT_THAT(response.body(), HasSubstr("a &lt; b"));
  EXPECT_THAT(response.body(), HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(response.body(), Not(HasSubstr("<script")));
}

TEST_F(MonitorRoutes, ShowOnThePageHowBusyTheDevicesAreAndForWhom) {
  Snapshot snapshot;
  snapshot.ready = true;
  snapshot.devices = {{"cuda:0", true}};
  metrics_.device_busy("cuda:0", stages::Seconds(93));
  metrics_.device_starved("cuda:0", stages::StarvedCause::kDecode, stages::Seconds(7));
  snapshot.clients = {{"<watch>", 812e6, true}};
  set(snapshot);
  const std::string page = client_.get("/").body();
  EXPECT_THAT(page, HasSubstr("<td>cuda:0</td><td>up</td><td class=\"n\">93 %</td><td>decode 7.0 s</td>"));
  EXPECT_THAT(page, HasSubstr("<td>&lt;watch&gt;</td><td>waits</td><td class=\"n\">812.0</td>"));
  EXPECT_THAT(page, HasSubstr("Fairness: 1.00"));
}

TEST_F(MonitorRoutes, AnswerHeadAndRefusePost) {
  for (const std::string path : {"/metrics", "/healthz", "/"}) {
    client_.send("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(client_.receive(/*head=*/true).result_int(), 200u) << path;
    client_.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(client_.receive().result_int(), 405u) << path;
  }
}

}  // namespace
}  // namespace retouchd::daemon
