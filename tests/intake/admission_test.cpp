#include "intake/admission.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "zmq_fixture.h"

namespace retouchd::intake {
namespace {

using testing::HasSubstr;

struct AdmissionTest : testing::Test {
  TemporaryFolder folder;
  MemoryJobStore store;
  config::Limits limits;
  bool draining = false;

  Admission make() {
    Admission::Hooks hooks;
    hooks.networks = [] { return std::vector<std::string>{"student-tiny", "identity"}; };
    hooks.draining = [this] { return draining; };
    return Admission({folder.path() / "state", limits, "student-tiny"}, store, hooks);
  }
  Result<queue::JobRequest> by_path(const wire::Submit& submit) { return make().prepare(submit, "zmq", std::nullopt); }
  Error refusal(const wire::Submit& submit) {
    auto request = by_path(submit);
    return request ? make_error(ErrorCode::kInternal, "accepted") : request.error();
  }
  static std::span<const std::uint8_t> bytes(const std::string& text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  }
};

TEST_F(AdmissionTest, APathBecomesARequestWithItsDefaults) {
  const auto source = folder.write("in/a.jpg", "picture");
  auto request = by_path({.path = source.string()});
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_EQ(request->source, source);
  EXPECT_EQ(request->identity.size, 7U);
  EXPECT_EQ(request->name, "a.jpg");
  EXPECT_EQ(request->output, folder.path() / "in/a_restored.jpg");
  EXPECT_EQ(request->network, "student-tiny");
  EXPECT_EQ(request->origin, "zmq");
  EXPECT_FALSE(request->key.empty());
  EXPECT_FALSE(request->spooled);
}

TEST_F(AdmissionTest, ADeadlineCountsFromTheMomentOfTheSubmit) {
  const auto source = folder.write("in/a.jpg", "picture");
  EXPECT_EQ(by_path({.path = source.string()})->deadline, kNever);
  const auto before = system_clock().now();
  const auto deadline = by_path({.path = source.string(), .deadline_seconds = 1.5})->deadline;
  EXPECT_GE(deadline, before + std::chrono::milliseconds(1'500));
  EXPECT_LE(deadline, system_clock().now() + std::chrono::milliseconds(1'500));
}

TEST_F(AdmissionTest, AnOutputThatIsAFolderGetsTheFileName) {
  const auto source = folder.write("in/a.jpg", "picture");
  EXPECT_EQ(by_path({.path = source.string(), .output = (folder.path() / "new").string() + "/"})->output,
            folder.path() / "new/a.jpg");
  EXPECT_EQ(by_path({.path = source.string(), .output = folder.path().string()})->output, folder.path() / "a.jpg");
  EXPECT_EQ(by_path({.path = source.string(), .output = (folder.path() / "b.jpg").string()})->output, folder.path() / "b.jpg");
}

TEST_F(AdmissionTest, EveryBadPathHasItsOwnCode) {
  EXPECT_EQ(refusal({.path = (folder.path() / "none.jpg").string()}).code, ErrorCode::kInputMissing);
  EXPECT_EQ(refusal({.path = folder.path().string()}).code, ErrorCode::kInputUnreadable);
  EXPECT_EQ(refusal({.path = folder.write("empty.jpg", "").string()}).code, ErrorCode::kInputEmpty);
  EXPECT_EQ(refusal({.path = "relative.jpg"}).code, ErrorCode::kInvalidRequest);
  const auto fifo = folder.path() / "fifo.jpg";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(refusal({.path = fifo.string()}).code, ErrorCode::kInputUnreadable);
  limits.file_size = Bytes{3};
  EXPECT_EQ(refusal({.path = folder.write("big.jpg", "1234").string()}).code, ErrorCode::kPictureTooLarge);
}

TEST_F(AdmissionTest, BadOutputsAreRefused) {
  const auto source = folder.write("a.jpg", "picture");
  EXPECT_EQ(refusal({.path = source.string(), .output = "relative/"}).code, ErrorCode::kInvalidRequest);
  EXPECT_THAT(refusal({.path = source.string(), .output = source.string()}).message, HasSubstr("originals are never replaced"));
}

TEST_F(AdmissionTest, AnUnknownNetworkIsRefusedWithThoseThereAre) {
  const auto error = refusal({.path = folder.write("a.jpg", "picture").string(), .network = "restormer"});
  EXPECT_EQ(error.code, ErrorCode::kUnknownNetwork);
  EXPECT_THAT(error.message, HasSubstr("student-tiny, identity"));
}

TEST_F(AdmissionTest, AKnownKeyNeedsNoPictureAnyMore) {
  const auto source = folder.write("a.jpg", "picture");
  const wire::Submit submit{.path = source.string(), .key = "k"};
  ASSERT_TRUE(store.accept_and_wait(*by_path(submit)).ok());
  std::filesystem::remove(source);
  auto again = by_path(submit);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(store.accept_and_wait(*again)->duplicate);
}

TEST_F(AdmissionTest, ContentIsInTheSpoolBeforeTheRequestIs) {
  auto admission = make();
  auto request = admission.prepare({.name = "x.JPG"}, "zmq", bytes("content"));
  ASSERT_TRUE(request.ok()) << request.error().message;
  EXPECT_TRUE(request->spooled);
  EXPECT_EQ(request->source.parent_path(), folder.path() / "state/spool");
  EXPECT_EQ(request->source.extension(), ".JPG");
  EXPECT_EQ(request->output.parent_path(), folder.path() / "state/results");
  EXPECT_EQ(*sha256_hex_of_file(request->source), sha256_hex(bytes("content")));
}

TEST_F(AdmissionTest, ContentIsCheckedLikeAFile) {
  auto admission = make();
  EXPECT_EQ(admission.prepare({.name = "x.jpg"}, "zmq", bytes("")).error().code, ErrorCode::kInputEmpty);
  EXPECT_EQ(admission.prepare({.name = "../x.jpg"}, "zmq", bytes("a")).error().code, ErrorCode::kInvalidRequest);
  EXPECT_EQ(admission.prepare({.name = "."}, "zmq", bytes("a")).error().code, ErrorCode::kInvalidRequest);
}

TEST_F(AdmissionTest, TheSameKeyWithOtherContentIsAConflict) {
  auto admission = make();
  const wire::Submit submit{.name = "x.jpg", .output = (folder.path() / "out.jpg").string(), .key = "k"};
  ASSERT_TRUE(store.accept_and_wait(*admission.prepare(submit, "zmq", bytes("one"))).ok());
  EXPECT_TRUE(store.accept_and_wait(*admission.prepare(submit, "zmq", bytes("one")))->duplicate);
  EXPECT_EQ(admission.prepare(submit, "zmq", bytes("two")).error().code, ErrorCode::kConflict);
}

TEST_F(AdmissionTest, AReloadHoldsForWhatComesAfterIt) {
  const auto source = folder.write("in/a.jpg", "picture");
  auto admission = make();
  config::Limits smaller = limits;
  smaller.file_size = Bytes{3};
  admission.reconfigure(smaller, "identity", {}, {}, {});
  EXPECT_EQ(admission.prepare({.path = source.string()}, "zmq", std::nullopt).error().code, ErrorCode::kPictureTooLarge);
  admission.reconfigure(limits, "identity", {}, {}, {});
  EXPECT_EQ(admission.prepare({.path = source.string()}, "zmq", std::nullopt)->network, "identity");
  EXPECT_EQ(admission.default_network(), "identity");
}

TEST_F(AdmissionTest, ThereIsNoRoomInAFullQueueOrADrainingDaemon) {
  limits.queued_jobs = 1;
  auto admission = make();
  EXPECT_TRUE(admission.check_room().ok());
  EXPECT_EQ(admission.check_room().error().code, ErrorCode::kBusy);
  limits.queued_jobs = 10;
  auto roomy = make();
  draining = true;
  EXPECT_EQ(roomy.check_room().error().code, ErrorCode::kBusy);
}

}  // namespace
}  // namespace retouchd::intake
