#include "intake/zmq_feed.h"

#include <string_view>
#include <utility>

#include "intake/wire/reply.h"
#include "intake/wire/request.h"
#include "intake/zmq_endpoint.h"
#include "intake/zmq_frames.h"

namespace retouchd::intake {
namespace {

constexpr std::size_t kEventsAtOnce = 1'000;
constexpr int kSubscriptionsAtOnce = 64;
constexpr int kEventHighWater = 10'000;    // per subscriber; then it loses events
constexpr int kLongestSubscription = 256;  // bytes
constexpr std::string_view kHello = "hello.";

}  // namespace

ZmqFeed::ZmqFeed(zmq::context_t& context, EventPublisher& events, std::function<void()> published)
    : events_(events), published_(std::move(published)), socket_(context, zmq::socket_type::xpub) {
  socket_.set(zmq::sockopt::sndhwm, kEventHighWater);
  socket_.set(zmq::sockopt::handshake_ivl, 5'000);
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::maxmsgsize, std::int64_t{kLongestSubscription});
}

Result<void> ZmqFeed::bind(const std::string& endpoint, std::uint32_t mode) {
  endpoint_ = endpoint;
  return bind_endpoint(socket_, "zmq.events", endpoint, mode);
}

bool ZmqFeed::publish() {
  const auto messages = events_.take(kEventsAtOnce);
  for (const auto& message : messages) {
    (void)socket_.send(zmq::buffer(message.topic), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)socket_.send(zmq::buffer(message.text), zmq::send_flags::dontwait);
    if (published_) published_();
  }
  return messages.size() == kEventsAtOnce;
}

void ZmqFeed::greet() {
  // Subscriptions of one client arrive in order: whoever hears its own "hello." knows that those before it hold.
  static const std::string kText = wire::dump({{"v", wire::kVersion}, {"kind", "subscribed"}});
  for (int i = 0; i < kSubscriptionsAtOnce; ++i) {
    const auto frames = receive_frames(socket_);
    if (frames.empty()) return;
    const auto text = frames[0].to_string_view();
    if (text.empty() || text[0] != 1 || !text.substr(1).starts_with(kHello)) continue;
    (void)socket_.send(zmq::buffer(text.substr(1)), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)socket_.send(zmq::buffer(kText), zmq::send_flags::dontwait);
  }
}

void ZmqFeed::finish(std::chrono::milliseconds patience) {
  events_.set_wakeup({});
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (publish() && std::chrono::steady_clock::now() < deadline) {
  }
  remove_endpoint(endpoint_);
  socket_.set(zmq::sockopt::linger, static_cast<int>(patience.count()));
  socket_.close();
}

}  // namespace retouchd::intake
