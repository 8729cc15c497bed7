#include "intake/webhook_sender.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <deque>

#include "tests/fake_http_server.h"
#include "tests/queue/store_fixture.h"

namespace retouchd::intake {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Reply = FakeHttpServer::Reply;

/// What one thread says and another awaits.
template <class T>
class Mailbox {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  T take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, seconds(60), [this] { return !values_.empty(); })) throw std::runtime_error("nothing came");
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }
  bool is_empty() {
    const std::lock_guard lock(mutex_);
    return values_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

class WebhookSenderTest : public queue::StoreTest {
 protected:
  void SetUp() override {
    notify_ = {"done"};
    open();
  }
  void TearDown() override {
    if (sender_) sender_->stop();
    store_.reset();  // its thread tells the sender of events
  }
  void start(const std::string& url, milliseconds timeout = seconds(30)) {
    WebhookOptions options{url, "0123456789abcdef", {"done"}, "1.2.3"};
    options.limits.total = timeout;
    sender_ = std::make_unique<WebhookSender>(
        options, hours(24), *store_, WebhookSender::Hooks{[this](std::string_view result) { results_.put(std::string(result)); }},
        clock_);
    store_->set_listener([this](const auto& events) { sender_->on_events(events); });
    sender_->start();
  }

  Mailbox<std::string> results_;
  std::unique_ptr<WebhookSender> sender_;
};

TEST_F(WebhookSenderTest, SendsWhenAnEventComes) {
  Mailbox<FakeHttpServer::Message> received;
  FakeHttpServer server([&](const auto& message) {
    received.put(message);
    return Reply{204};
  });
  start(server.url() + "/hook");
  for (const char* key : {"a", "b"}) {
    bring_to(queue::JobState::kDone, key);
    const auto message = received.take();
    EXPECT_EQ(message.method_string(), "POST");
    EXPECT_EQ(message.target(), "/hook");
    EXPECT_EQ(message["Content-Type"], "application/json");
    EXPECT_EQ(message["User-Agent"], "retouchd/1.2.3");
    EXPECT_EQ(message["webhook-signature"].substr(0, 3), "v1,");
    EXPECT_EQ(results_.take(), "delivered");
  }
}

TEST_F(WebhookSenderTest, DoesNotGoWhereTheReceiverPoints) {
  FakeHttpServer secret([](const auto&) { return Reply{200}; });
  FakeHttpServer server([&](const auto&) { return Reply{307, "", {{"Location", secret.url()}}}; });
  start(server.url());
  bring_to(queue::JobState::kDone, "a");
  EXPECT_EQ(results_.take(), "dropped");
  EXPECT_EQ(secret.connections(), 0U);
}

TEST_F(WebhookSenderTest, AReceiverThatDoesNotAnswerIsAFailure) {
  FakeHttpServer server([](const auto&) { return Reply{.never = true}; });
  start(server.url(), milliseconds(50));
  bring_to(queue::JobState::kDone, "a");
  EXPECT_EQ(results_.take(), "retried");
}

TEST_F(WebhookSenderTest, StopsInTheMiddleOfACallAndGoesOnAfterTheNextStart) {
  Mailbox<std::string> ids;
  std::atomic<bool> is_slow = true;
  FakeHttpServer server([&](const auto& message) {
    ids.put(std::string(message["webhook-id"]));
    return is_slow ? Reply{.never = true} : Reply{200};
  });
  start(server.url(), hours(1));
  bring_to(queue::JobState::kDone, "a");
  const auto first = ids.take();
  sender_->stop();
  sender_->stop();
  EXPECT_TRUE(results_.is_empty());

  is_slow = false;
  open();
  start(server.url());
  EXPECT_EQ(ids.take(), first);
  EXPECT_EQ(results_.take(), "delivered");
}

TEST_F(WebhookSenderTest, CanBeStoppedBeforeItStarted) {
  WebhookSender sender({"http://127.0.0.1:1/", "", {"done"}, ""}, hours(1), *store_, {}, clock_);
  sender.stop();
}

}  // namespace
}  // namespace retouchd::intake
