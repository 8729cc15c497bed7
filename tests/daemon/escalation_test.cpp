#include "daemon/escalation.h"

#include <gtest/gtest.h>

#include "intake/wire/key_file.h"
#include "queue/decision.h"
#include "queue/sqlite_job_store.h"
#include "tests/temporary_folder.h"

namespace retouchd::daemon {
namespace {

class EscalationTest : public testing::Test {
 protected:
  EscalationTest() {
    config_.state_dir = folder_.path();
    config_.cloud.key = folder_.path() / "cloud.key";
    queue::SqliteJobStoreOptions options;
    options.file = folder_.path() / "jobs.sqlite";
    options.boot_id = "test";
    auto store = queue::open_sqlite_job_store(options, system_clock());
    EXPECT_TRUE(store);
    store_ = *std::move(store);
  }

  /// A job that is away.
  queue::JobId escalate() {
    queue::JobRequest request;
    request.key = "a";
    request.origin = "test";
    request.source = "/a.jpg";
    request.name = "a.jpg";
    request.policy = "hybrid";
    EXPECT_TRUE(store_->accept_and_wait(request));
    const auto claimed = store_->claim({});
    EXPECT_EQ(claimed->size(), 1U);
    queue::Decision decision;
    decision.policy = "hybrid";
    decision.route = queue::Route::kCloud;
    decision.reason = "its score is low";
    EXPECT_TRUE(store_->escalate({claimed->front().id, claimed->front().epoch}, queue::to_text(decision)));
    return claimed->front().id;
  }

  Result<std::unique_ptr<Escalation>> open() { return Escalation::open(config_, engine_, *store_, {}, system_clock()); }

  const TemporaryFolder folder_;
  config::Config config_;
  static Engine with_codec() {
    Engine engine;
    engine.codec = std::make_unique<image::LocalCodec>();
    return engine;
  }
  Engine engine_ = with_codec();
  std::unique_ptr<queue::JobStore> store_;
};

TEST_F(EscalationTest, JobsThatAreAwayComeHomeWhenThereIsNoNodeAnyMore) {
  const auto id = escalate();
  const auto link = open();
  ASSERT_TRUE(link);
  EXPECT_EQ(*link, nullptr);
  const auto job = store_->get(id);
  EXPECT_EQ(job->state, queue::JobState::kQueued);
  const auto decision = queue::decision_from_text(job->decision);
  EXPECT_EQ(decision->route, queue::Route::kLocal);
  EXPECT_EQ(decision->fallback, "local_full");
}

TEST_F(EscalationTest, JobsStayAwayWhileTheirNodeIsConfigured) {
  const auto id = escalate();
  config_.cloud.node = "tcp://127.0.0.1:1";
  ASSERT_TRUE(wire::write_key_file(config_.cloud.key, *wire::make_key_pair(), false));
  const auto link = open();
  ASSERT_TRUE(link) << link.error().message;
  EXPECT_EQ(store_->get(id)->state, queue::JobState::kEscalated);
  EXPECT_EQ((*link)->node().route, queue::Route::kCloud);
  EXPECT_FALSE((*link)->server());
}

TEST_F(EscalationTest, WithoutItsKeysItIsRefusedWithTheNameOfTheFile) {
  config_.cloud.node = "tcp://127.0.0.1:1";
  const auto link = open();
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().code, ErrorCode::kBadConfig);
  EXPECT_NE(link.error().message.find(config_.cloud.key.string()), std::string::npos) << link.error().message;
}

}  // namespace
}  // namespace retouchd::daemon
