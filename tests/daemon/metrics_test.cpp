#include "daemon/metrics.h"

#include <gmock/gmock.h>

#include <thread>

#include "daemon/device_series.h"
#include "exposition.h"
#include "tests/hand_clock.h"

namespace retouchd::daemon {
namespace {

using stages::Seconds;
using stages::StarvedCause;

stages::BatchReport batch(std::size_t tiles, std::size_t capacity, std::size_t pictures = 1) {
  return {"cpu", tiles, capacity, pictures, 1'000 * tiles, 1'250 * tiles, Seconds(1)};
}

MetricsOptions options() { return {"1.2.3", "2.11.0", "cpu", "detail", {"submit", "status"}}; }

Exposition scrape(Metrics& metrics, const Snapshot& snapshot = {}) { return Exposition(metrics.render(snapshot)); }

queue::JobEvent event(queue::JobId job, std::string kind, std::string body = "{}") {
  return {job, 1, std::move(kind), {}, std::move(body)};
}

TEST(Metrics, AreThereWithZeroBeforeAnythingHappens) {
  Metrics metrics(options());
  const auto text = scrape(metrics);
  for (const auto* series : {R"(retouchd_jobs{state="queued"})",
                             R"(retouchd_jobs{state="failed"})",
                             R"(retouchd_jobs_total{origin="watch",outcome="failed"})",
                             R"(retouchd_jobs_accepted_total{origin="zmq"})",
                             R"(retouchd_stage_queue_depth{stage="decode"})",
                             R"(retouchd_stage_seconds_count{stage="encode"})",
                             R"(retouchd_tiles_total{kind="preview"})",
                             "retouchd_batch_tiles_count",
                             R"(retouchd_device_starved_seconds_total{cause="encode",device="cpu"})",
                             R"(retouchd_device_busy_ratio{device="cpu"})",
                             R"(retouchd_tiles_rerun_total{device="cpu",reason="not_finite"})",
                             "retouchd_tiles_resumed_total",
                             "retouchd_useful_pixels_total",
                             "retouchd_codec_workers_started_total",
                             R"(retouchd_codec_workers_lost_total{reason="crash"})",
                             "retouchd_guests_denied_total",
                             "retouchd_seam_ratio_count",
                             "retouchd_scheduler_clients",
                             "retouchd_time_to_preview_seconds_count",
                             R"(retouchd_requests_total{op="submit",result="ok"})",
                             "retouchd_events_published_total",
                             "retouchd_store_errors_total",
                             "retouchd_store_commit_seconds_count",
                             R"(retouchd_retries_total{code="io_error"})",
                             R"(retouchd_jobs_waiting{code="disk_full"})",
                             R"(retouchd_jobs{state="escalated"})",
                             R"(retouchd_stage_seconds_count{stage="score"})",
                             R"(retouchd_decisions_total{reason="over_budget",route="local"})",
                             R"(retouchd_escalations_total{result="bad_answer"})",
                             "retouchd_quality_score_count",
                             "retouchd_noise_sigma_count",
                             "retouchd_escalation_window",
                             "retouchd_cloud_sent_bytes_total",
                             R"(retouchd_webhook_notifications_total{result="dropped"})",
                             R"(retouchd_hooks_total{result="failed"})",
                             R"(retouchd_config_reload_total{result="failed"})"}) {
    EXPECT_EQ(text[series], 0) << series;
  }
  EXPECT_EQ(text["retouchd_waste_ratio"], 1);
  EXPECT_EQ(text["retouchd_fairness_index"], 1);
  EXPECT_EQ(text[R"(retouchd_build_info{device="cpu",libtorch="2.11.0",network="detail",version="1.2.3"})"], 1);
  EXPECT_GT(text["retouchd_process_resident_memory_bytes"], 1e6);
  EXPECT_GT(text["retouchd_process_start_time_seconds"], 1.5e9);
}

TEST(Metrics, CountWhatThePipelineReports) {
  Metrics metrics(options());
  metrics.stage_finished("decode", Seconds(0.2));
  metrics.stage_finished("decode", Seconds(3.0));
  metrics.stage_finished("merge", Seconds(0.004));
  metrics.batch_finished(batch(6, 8, 2));
  metrics.batch_finished(batch(8, 8, 5));
  metrics.device_busy("cpu", Seconds(1.5));
  metrics.device_busy("cpu", Seconds(0.5));
  metrics.tile_finished(true);
  for (int i = 0; i < 13; ++i) metrics.tile_finished(false);
  metrics.device_starved("cpu", StarvedCause::kDecode, Seconds(0.25));
  metrics.device_starved("cpu", StarvedCause::kDecode, Seconds(0.5));
  metrics.preview_ready(Seconds(0.4));
  metrics.job_done(Seconds(12));
  const auto text = scrape(metrics);

  EXPECT_EQ(text[R"(retouchd_stage_seconds_count{stage="decode"})"], 2);
  EXPECT_DOUBLE_EQ(text[R"(retouchd_stage_seconds_sum{stage="decode"})"], 3.2);
  EXPECT_EQ(text[R"(retouchd_stage_seconds_bucket{stage="decode",le="0.25"})"], 1);
  EXPECT_EQ(text[R"(retouchd_stage_seconds_bucket{stage="decode",le="5"})"], 2);
  EXPECT_EQ(text[R"(retouchd_stage_seconds_count{stage="merge"})"], 1);
  EXPECT_EQ(text["retouchd_batch_tiles_sum"], 14);
  EXPECT_EQ(text["retouchd_batch_tiles_count"], 2);
  EXPECT_EQ(text["retouchd_batch_pictures_sum"], 7);
  EXPECT_EQ(text["retouchd_useful_pixels_total"], 14'000);
  EXPECT_EQ(text["retouchd_computed_pixels_total"], 17'500);
  EXPECT_DOUBLE_EQ(text["retouchd_batch_fill_ratio"], 14.0 / 16.0);
  EXPECT_EQ(text[R"(retouchd_device_busy_seconds_total{device="cpu"})"], 2);
  EXPECT_EQ(text[R"(retouchd_device_starved_seconds_total{cause="decode",device="cpu"})"], 0.75);
  EXPECT_EQ(text[R"(retouchd_device_starved_seconds_total{cause="memory",device="cpu"})"], 0);
  EXPECT_EQ(text[R"(retouchd_tiles_total{kind="preview"})"], 1);
  EXPECT_EQ(text[R"(retouchd_tiles_total{kind="picture"})"], 13);
  EXPECT_EQ(text[R"(retouchd_time_to_preview_seconds_bucket{le="0.5"})"], 1);
  EXPECT_EQ(text["retouchd_job_seconds_sum"], 12);
  EXPECT_EQ(text["retouchd_job_seconds_count"], 1);
}

TEST(Metrics, AverageTheFillOfTheLatestBatches) {
  Metrics metrics(options());
  metrics.batch_finished(batch(1, 10));
  for (std::size_t i = 0; i < DeviceSeries::kFillWindow; ++i) metrics.batch_finished(batch(10, 10));
  EXPECT_DOUBLE_EQ(scrape(metrics)["retouchd_batch_fill_ratio"], 1.0);
}

TEST(Metrics, GaugeHowBusyADeviceWasInTheLastMinute) {
  HandClock clock;
  auto with_clock = options();
  with_clock.clock = &clock;
  Metrics metrics(with_clock);
  Snapshot snapshot;
  snapshot.devices = {{"cpu", true}};
  metrics.device_busy("cpu", Seconds(9));
  metrics.device_starved("cpu", StarvedCause::kUpload, Seconds(1));
  metrics.batch_finished(batch(4, 8));
  EXPECT_DOUBLE_EQ(scrape(metrics, snapshot)[R"(retouchd_device_busy_ratio{device="cpu"})"], 0.9);
  EXPECT_DOUBLE_EQ(scrape(metrics, snapshot)["retouchd_waste_ratio"], 1.25);
  clock.advance(std::chrono::seconds(61));
  const auto later = scrape(metrics, snapshot);
  EXPECT_EQ(later[R"(retouchd_device_busy_ratio{device="cpu"})"], 0);
  EXPECT_EQ(later["retouchd_waste_ratio"], 1);
  EXPECT_EQ(later[R"(retouchd_device_busy_seconds_total{device="cpu"})"], 9) << "counters keep everything";
}

TEST(Metrics, CountWhatWasComputedAgainAndWhatWasNot) {
  Metrics metrics(options());
  metrics.tiles_rerun("cpu", stages::RerunReason::kConstant, 3);
  metrics.tiles_rerun("cuda:0", stages::RerunReason::kOutOfMemory, 16);
  metrics.tiles_resumed(40);
  metrics.seams_measured(1.01);
  metrics.seams_measured(1.3);
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_tiles_rerun_total{device="cpu",reason="constant"})"], 3);
  EXPECT_EQ(text[R"(retouchd_tiles_rerun_total{device="cuda:0",reason="out_of_memory"})"], 16);
  EXPECT_EQ(text[R"(retouchd_tiles_rerun_total{device="cuda:0",reason="device_lost"})"], 0);
  EXPECT_EQ(text["retouchd_tiles_resumed_total"], 40);
  EXPECT_EQ(text[R"(retouchd_seam_ratio_bucket{le="1"})"], 0);
  EXPECT_EQ(text[R"(retouchd_seam_ratio_bucket{le="1.02"})"], 1);
  EXPECT_EQ(text[R"(retouchd_seam_ratio_bucket{le="1.5"})"], 2);
}

TEST(Metrics, KnowADeviceFromItsFirstReport) {
  Metrics metrics(options());
  metrics.device_up("cuda:1", false);
  EXPECT_EQ(scrape(metrics)[R"(retouchd_device_up{device="cuda:1"})"], 0);
  metrics.device_up("cuda:1", true);
  EXPECT_EQ(scrape(metrics)[R"(retouchd_device_up{device="cuda:1"})"], 1);
}

TEST(Metrics, HaveTheSeriesOfEveryDeviceInUse) {
  auto two = options();
  two.device = "cuda:0,cuda:1";
  Metrics metrics(two);
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_device_busy_ratio{device="cuda:0"})"], 0);
  EXPECT_EQ(text[R"(retouchd_device_busy_ratio{device="cuda:1"})"], 0);
  EXPECT_FALSE(text.has(R"(retouchd_device_up{device="cuda:0,cuda:1"})"));
}

TEST(Metrics, ShowHowFairTheClientsAreServed) {
  Metrics metrics(options());
  Snapshot snapshot;
  snapshot.clients = {{"watch:family", 1e6, true}, {"zmq", 0, true}};
  const auto text = scrape(metrics, snapshot);
  EXPECT_DOUBLE_EQ(text["retouchd_fairness_index"], 0.5);
  EXPECT_EQ(text["retouchd_scheduler_clients"], 2);
}

TEST(Metrics, AddWhatTheyMeasureToASnapshot) {
  HandClock clock;
  auto with_clock = options();
  with_clock.clock = &clock;
  Metrics metrics(with_clock);
  clock.advance(std::chrono::seconds(20));
  metrics.device_busy("cpu", Seconds(1));
  metrics.device_starved("cpu", StarvedCause::kNoWork, Seconds(3));
  metrics.batch_finished(batch(40, 80));
  metrics.device_up("cpu", true);
  metrics.device_up("cuda:0", false);
  metrics.job_done(Seconds(5));
  Snapshot snapshot;
  snapshot.devices = {{"cpu", true, 1, {}}};
  metrics.add_load(snapshot);
  EXPECT_EQ(snapshot.version, "1.2.3");
  EXPECT_EQ(snapshot.uptime, std::chrono::seconds(20));
  EXPECT_EQ(snapshot.jobs_done, 1u);
  ASSERT_EQ(snapshot.devices.size(), 2u);
  EXPECT_EQ(snapshot.devices[0].batches_in_flight, 1u);
  EXPECT_DOUBLE_EQ(snapshot.devices[0].load.busy_ratio, 0.25);
  EXPECT_DOUBLE_EQ(snapshot.devices[0].load.tiles_per_s, 2);
  EXPECT_EQ(snapshot.devices[0].load.batch_fill, 0.5);
  EXPECT_EQ(snapshot.devices[1].name, "cuda:0");
  EXPECT_FALSE(snapshot.devices[1].up);
}

TEST(Metrics, CountJobsByTheOriginTheyWereAcceptedFrom) {
  Metrics metrics(options());
  metrics.on_events({event(1, "accepted", R"({"origin":"watch:family"})"), event(2, "accepted", R"({"origin":"watch:scans"})"),
                     event(3, "accepted", R"({"origin":"zmq"})")});
  metrics.on_events(
      {event(1, "started"), event(1, "done"), event(2, "failed", R"({"code":"corrupt_picture"})"), event(3, "cancelled")});
  metrics.on_events({event(99, "done", "not json"), event(98, "done", R"({"origin":"zmq"})")});
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_jobs_accepted_total{origin="watch"})"], 2);
  EXPECT_EQ(text[R"(retouchd_jobs_accepted_total{origin="zmq"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="watch",outcome="done"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="watch",outcome="failed"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="zmq",outcome="cancelled"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="zmq",outcome="done"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="unknown",outcome="done"})"], 1) << "accepted before this process began";
}

TEST(Metrics, KeepTheNumberOfOriginsBounded) {
  Metrics metrics(options());
  for (int i = 0; i < 1000; ++i) metrics.on_events({event(i, "accepted", R"({"origin":"client)" + std::to_string(i) + "\"}")});
  const auto text = scrape(metrics);
  std::size_t series = 0;
  double total = 0;
  for (const auto& [name, value] : text.values()) {
    if (!name.starts_with("retouchd_jobs_accepted_total{")) continue;
    ++series;
    total += value;
  }
  EXPECT_LE(series, Metrics::kMaxOrigins);
  EXPECT_EQ(total, 1000);
  EXPECT_GT(text[R"(retouchd_jobs_accepted_total{origin="other"})"], 900);
}

TEST(Metrics, ShowWhichJobsWaitAndForWhat) {
  Metrics metrics(options());
  metrics.on_events({event(1, "waiting", R"({"code":"disk_full"})"), event(2, "waiting", R"({"error":{"code":"disk_full"}})"),
                     event(3, "waiting", R"({"code":"device_failed"})"), event(1, "waiting", R"({"code":"disk_full"})")});
  EXPECT_EQ(scrape(metrics)[R"(retouchd_jobs_waiting{code="disk_full"})"], 2);
  EXPECT_EQ(scrape(metrics)[R"(retouchd_jobs_waiting{code="device_failed"})"], 1);
  metrics.on_events({event(1, "started"), event(2, "cancelled"), event(3, "progress"), event(4, "started")});
  EXPECT_EQ(scrape(metrics)[R"(retouchd_jobs_waiting{code="disk_full"})"], 0);
  EXPECT_EQ(scrape(metrics)[R"(retouchd_jobs_waiting{code="device_failed"})"], 1);
}

TEST(Metrics, CountRetriesByErrorCode) {
  Metrics metrics(options());
  metrics.on_events({event(1, "retrying", R"({"code":"io_error"})"), event(1, "retrying", R"({"code":"io_error"})"),
                     event(2, "retrying", R"({"code":"made_up"})"), event(3, "retrying", "[]")});
  EXPECT_EQ(scrape(metrics)[R"(retouchd_retries_total{code="io_error"})"], 2);
  EXPECT_EQ(scrape(metrics)[R"(retouchd_retries_total{code="internal"})"], 2);
}

TEST(Metrics, CountRequestsUnderNamesFromFixedListsOnly) {
  Metrics metrics(options());
  metrics.request_answered("submit", "ok");
  metrics.request_answered("submit", "busy");
  for (int i = 0; i < 100; ++i) metrics.request_answered("guess" + std::to_string(i), "reason" + std::to_string(i));
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_requests_total{op="submit",result="ok"})"], 1);
  EXPECT_EQ(text[R"(retouchd_requests_total{op="submit",result="busy"})"], 1);
  EXPECT_EQ(text[R"(retouchd_requests_total{op="unknown",result="internal"})"], 100);
}

TEST(Metrics, CountStoreEventsAndReloads) {
  Metrics metrics(options());
  metrics.store_committed(Seconds(0.004));
  metrics.store_committed(Seconds(0.2));
  metrics.store_failed();
  metrics.event_published();
  metrics.event_published();
  metrics.config_reloaded(true);
  metrics.config_reloaded(false);
  const auto text = scrape(metrics);
  EXPECT_EQ(text["retouchd_store_commit_seconds_count"], 2);
  EXPECT_EQ(text[R"(retouchd_store_commit_seconds_bucket{le="0.005"})"], 1);
  EXPECT_EQ(text["retouchd_store_errors_total"], 1);
  EXPECT_EQ(text["retouchd_events_published_total"], 2);
  EXPECT_EQ(text[R"(retouchd_config_reload_total{result="ok"})"], 1);
  EXPECT_EQ(text[R"(retouchd_config_reload_total{result="failed"})"], 1);
}

TEST(Metrics, TellWherePicturesAreRestoredAndWhatTheNodeTakes) {
  Metrics metrics(options());
  metrics.set_cascade(0.15, 0.9);
  queue::Decision decision;
  decision.route = queue::Route::kCloud;
  decision.code = "below_threshold";
  decision.score = 0.7;
  metrics.routed(decision);
  metrics.escalation_ended("returned");
  metrics.cloud_transferred(mebibytes(2), mebibytes(5));
  metrics.notified("retried");
  metrics.hook_ended("timeout");
  Snapshot snapshot;
  snapshot.cloud = CloudSnapshot{"tcp://node:9465", "half_open", 30};
  const auto text = scrape(metrics, snapshot);
  EXPECT_EQ(text[R"(retouchd_decisions_total{reason="below_threshold",route="cloud"})"], 1);
  EXPECT_EQ(text["retouchd_escalation_ratio"], 1);
  EXPECT_EQ(text["retouchd_escalation_target"], 0.15);
  EXPECT_EQ(text[R"(retouchd_escalations_total{result="returned"})"], 1);
  EXPECT_EQ(text["retouchd_cloud_sent_bytes_total"], 2 << 20);
  EXPECT_EQ(text["retouchd_cloud_received_bytes_total"], 5 << 20);
  EXPECT_EQ(text[R"(retouchd_cloud_breaker{state="half_open"})"], 1);
  EXPECT_EQ(text["retouchd_cloud_budget_escalations"], 30);
  EXPECT_EQ(text[R"(retouchd_webhook_notifications_total{result="retried"})"], 1);
  EXPECT_EQ(text[R"(retouchd_hooks_total{result="timeout"})"], 1);
}

TEST(Metrics, CountDecisionsOfManyThreads) {
  Metrics metrics(options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      queue::Decision decision;
      decision.code = "policy";
      decision.score = t == 0 ? 0.5 : 0.99;
      for (int i = 0; i < 400; ++i) metrics.routed(decision);
    });
  }
  for (auto& thread : threads) thread.join();
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_decisions_total{reason="policy",route="local"})"], 1600);
  EXPECT_EQ(text["retouchd_escalation_window"], 1600);
  EXPECT_DOUBLE_EQ(text["retouchd_escalation_ratio"], 0.25);
}

Snapshot busy_snapshot() {
  Snapshot snapshot;
  snapshot.jobs = {7, 2, 1, 40, 3, 4};
  snapshot.queues = {{"decode", 5, mebibytes(1)}, {"infer", 64, mebibytes(96)}};
  snapshot.devices = {{"cpu", true}, {"cuda:0", false}};
  intake::WatchStatus watch;
  watch.name = "family";
  watch.up = true;
  watch.pending = 3;
  watch.accepted = 10;
  watch.ignored = 2;
  watch.duplicates = 1;
  snapshot.watches = {watch};
  snapshot.memory_budget = gibibytes(4);
  snapshot.memory_reserved = gibibytes(1);
  return snapshot;
}

TEST(Metrics, ShowTheSnapshotOfTheScrape) {
  Metrics metrics(options());
  const auto text = scrape(metrics, busy_snapshot());
  EXPECT_EQ(text[R"(retouchd_jobs{state="queued"})"], 7);
  EXPECT_EQ(text[R"(retouchd_jobs{state="running"})"], 2);
  EXPECT_EQ(text[R"(retouchd_jobs{state="publishing"})"], 1);
  EXPECT_EQ(text[R"(retouchd_jobs{state="done"})"], 40);
  EXPECT_EQ(text[R"(retouchd_jobs{state="failed"})"], 3);
  EXPECT_EQ(text[R"(retouchd_jobs{state="cancelled"})"], 4);
  EXPECT_EQ(text[R"(retouchd_stage_queue_depth{stage="infer"})"], 64);
  EXPECT_EQ(text[R"(retouchd_stage_queue_bytes{stage="decode"})"], 1 << 20);
  EXPECT_EQ(text[R"(retouchd_device_up{device="cpu"})"], 1);
  EXPECT_EQ(text[R"(retouchd_device_up{device="cuda:0"})"], 0);
  EXPECT_EQ(text[R"(retouchd_watch_up{watch="family"})"], 1);
  EXPECT_EQ(text[R"(retouchd_watch_pending{watch="family"})"], 3);
  EXPECT_EQ(text[R"(retouchd_watch_files_total{result="accepted",watch="family"})"], 10);
  EXPECT_EQ(text["retouchd_memory_budget_bytes"], 4.0 * (1 << 30));
  EXPECT_EQ(text["retouchd_memory_reserved_bytes"], 1 << 30);
}

TEST(Metrics, NeverCountBackwardsWhenAWatchIsOpenedAgain) {
  Metrics metrics(options());
  auto snapshot = busy_snapshot();
  (void)scrape(metrics, snapshot);
  snapshot.watches[0].accepted = 4;  // begins anew
  EXPECT_EQ(scrape(metrics, snapshot)[R"(retouchd_watch_files_total{result="accepted",watch="family"})"], 14);
  snapshot.watches[0].accepted = 6;
  EXPECT_EQ(scrape(metrics, snapshot)[R"(retouchd_watch_files_total{result="accepted",watch="family"})"], 16);
}

TEST(Metrics, ForgetAWatchThatAReloadTookAway) {
  Metrics metrics(options());
  auto snapshot = busy_snapshot();
  (void)scrape(metrics, snapshot);
  snapshot.watches.clear();
  EXPECT_FALSE(scrape(metrics, snapshot).has(R"(retouchd_watch_up{watch="family"})"));
}

TEST(Metrics, CountEveryObservationOfManyThreads) {
  Metrics metrics(options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      for (int i = 0; i < 1000; ++i) {
        metrics.stage_finished("infer", Seconds(0.5));
        metrics.batch_finished(batch(4, 8, 2));
        metrics.device_busy("cpu", Seconds(0.5));
        metrics.tile_finished(false);
        metrics.on_events({event(t * 1000 + i, "accepted", R"({"origin":"zmq"})"), event(t * 1000 + i, "done")});
        if (i % 200 == 0) (void)metrics.render(busy_snapshot());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto text = scrape(metrics);
  EXPECT_EQ(text[R"(retouchd_stage_seconds_count{stage="infer"})"], 4000);
  EXPECT_EQ(text["retouchd_batch_tiles_sum"], 16000);
  EXPECT_EQ(text[R"(retouchd_device_busy_seconds_total{device="cpu"})"], 2000);
  EXPECT_EQ(text[R"(retouchd_tiles_total{kind="picture"})"], 4000);
  EXPECT_EQ(text[R"(retouchd_jobs_total{origin="zmq",outcome="done"})"], 4000);
}

}  // namespace
}  // namespace retouchd::daemon
