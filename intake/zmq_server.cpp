#include "intake/zmq_server.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "intake/zmq_endpoint.h"
#include "intake/zmq_outbox.h"
#include "intake/zmq_worker.h"

namespace retouchd::intake {
namespace {

using nlohmann::json;

constexpr std::size_t kFileWorkers = 4;
/// Below what the store lets wait, so that one eager client meets back-pressure instead of kBusy.
constexpr std::size_t kMostUnderWay = 2'048;
constexpr Bytes kMostContentUnderWay = mebibytes(256);
constexpr Bytes kMostUnsent = mebibytes(64);  ///< of replies that clients do not take; then only short answers are given
constexpr std::size_t kCountedFrom = 4'096;   ///< replies shorter than this are not worth counting
constexpr int kRequestsAtOnce = 64;
constexpr std::size_t kEventsAtOnce = 1'000;
constexpr std::size_t kMostFrames = 5;  ///< client, delimiter, JSON, content; and one more to see that there are too many

constexpr int kReceiveHighWater = 16;      // per client; a message may hold a whole picture
constexpr int kReplyHighWater = 100'000;   // per client
constexpr int kEventHighWater = 10'000;    // per subscriber; then it loses events
constexpr int kLongestSubscription = 256;  // bytes
constexpr std::string_view kHello = "hello.";

using Frames = std::vector<zmq::message_t>;
using UnsentBytes = std::shared_ptr<std::atomic<std::uint64_t>>;

/// One message, or nothing when none waits. Of a message with too many frames only the first kMostFrames are kept.
Frames receive(zmq::socket_t& socket) {
  Frames frames;
  bool more = true;
  while (more) {
    zmq::message_t frame;
    if (!socket.recv(frame, zmq::recv_flags::dontwait)) return {};
    more = frame.more();
    if (frames.size() < kMostFrames) frames.push_back(std::move(frame));
  }
  return frames;
}

/// A frame that is counted in `unsent` until libzmq has written it to the client or given it up.
zmq::message_t counted_frame(std::string text, const UnsentBytes& unsent) {
  if (text.size() < kCountedFrom) return zmq::message_t(text.data(), text.size());
  struct Holder {
    std::string text;
    UnsentBytes unsent;
  };
  auto holder = std::make_unique<Holder>(Holder{std::move(text), unsent});
  *unsent += holder->text.size();
  zmq::message_t frame(
      holder->text.data(), holder->text.size(),
      [](void*, void* hint) {
        const std::unique_ptr<Holder> done(static_cast<Holder*>(hint));
        *done->unsent -= done->text.size();
      },
      holder.get());
  (void)holder.release();  // the frame's now
  return frame;
}

bool is_heavy(const wire::ParsedRequest& request) {
  return request.op == wire::Fetch::kName || request.op == wire::List::kName || request.op == wire::Events::kName;
}

json about_daemon(const ZmqServerOptions& options) {
  return {{"version", options.version},
          {"protocol", wire::kVersion},
          {"pid", ::getpid()},
          {"requests", options.sockets.requests},
          {"events", options.sockets.events},
          {"max_message", options.sockets.max_message.value}};
}

}  // namespace

/// The thread that owns the sockets.
class ZmqServer::Loop {
 public:
  Loop(const ZmqServerOptions& options, queue::JobStore& store, Admission& admission, EventPublisher& events, ZmqHooks hooks,
       std::shared_ptr<ZmqOutbox> outbox)
      : sockets_(options.sockets),
        events_(events),
        event_published_(hooks.event_published),
        outbox_(std::move(outbox)),
        operations_(std::make_shared<ZmqOperations>(store, admission, std::move(hooks), about_daemon(options))) {}

  Result<void> bind();
  void start();
  void stop(std::chrono::milliseconds patience);

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Request;

  void serve();
  void wait(bool hurry);
  void receive_requests();
  void take(Frames frames);
  void dispatch(wire::ParsedRequest parsed, std::vector<std::string> envelope, zmq::message_t content);
  ZmqWorker& worker_for(const wire::ParsedRequest& request, const std::string& client);
  void send_replies();
  void send(ZmqOutbox::Reply reply);
  bool publish_events();
  void greet_subscribers();
  void finish();
  [[nodiscard]] bool has_room() const { return under_way_ < kMostUnderWay && content_under_way_ < kMostContentUnderWay; }

  const config::ZeroMq sockets_;
  EventPublisher& events_;
  const std::function<void()> event_published_;
  const std::shared_ptr<ZmqOutbox> outbox_;
  const std::shared_ptr<ZmqOperations> operations_;
  const UnsentBytes unsent_ = std::make_shared<std::atomic<std::uint64_t>>(0);

  zmq::context_t context_{1};
  zmq::socket_t router_{context_, zmq::socket_type::router};
  zmq::socket_t publisher_{context_, zmq::socket_type::xpub};
  std::size_t under_way_ = 0;  // requests without an answer; the loop's thread only, like the next
  Bytes content_under_way_;
  std::uint64_t lost_replies_ = 0;

  std::atomic<bool> stopping_{false};
  std::atomic<std::chrono::milliseconds> patience_{};
  std::vector<std::unique_ptr<ZmqWorker>> file_workers_;
  std::unique_ptr<ZmqWorker> store_worker_;
  std::thread thread_;
};

Result<void> ZmqServer::Loop::bind() {
  router_.set(zmq::sockopt::router_mandatory, true);
  router_.set(zmq::sockopt::rcvhwm, kReceiveHighWater);
  router_.set(zmq::sockopt::sndhwm, kReplyHighWater);
  router_.set(zmq::sockopt::handshake_ivl, 5'000);
  router_.set(zmq::sockopt::linger, 0);
  // Up to twice the limit is read and refused with a reason; beyond that the connection is cut before memory is taken.
  router_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(2 * std::max(sockets_.max_message, wire::kMaxEnvelope).value));
  publisher_.set(zmq::sockopt::sndhwm, kEventHighWater);
  publisher_.set(zmq::sockopt::handshake_ivl, 5'000);
  publisher_.set(zmq::sockopt::linger, 0);
  publisher_.set(zmq::sockopt::maxmsgsize, std::int64_t{kLongestSubscription});
  if (auto bound = bind_endpoint(router_, "zmq.requests", sockets_.requests, sockets_.mode); !bound) return bound;
  return bind_endpoint(publisher_, "zmq.events", sockets_.events, sockets_.mode);
}

void ZmqServer::Loop::start() {
  for (std::size_t i = 0; i < kFileWorkers; ++i) file_workers_.push_back(std::make_unique<ZmqWorker>("zmq-files"));
  store_worker_ = std::make_unique<ZmqWorker>("zmq-store");
  events_.set_wakeup([outbox = outbox_] { outbox->wake(); });
  thread_ = std::thread([this] { serve(); });
  pthread_setname_np(thread_.native_handle(), "zmq");
}

void ZmqServer::Loop::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  patience_ = patience;
  stopping_ = true;
  outbox_->wake();
  thread_.join();
  file_workers_.clear();
  store_worker_.reset();
}

void ZmqServer::Loop::serve() {
  bool hurry = true;
  std::optional<TimePoint> deadline;
  while (true) {
    try {
      if (stopping_ && !deadline) deadline = std::chrono::steady_clock::now() + patience_.load();
      if (deadline && (under_way_ == 0 || std::chrono::steady_clock::now() >= *deadline)) break;
      wait(hurry);
      outbox_->clear_wake();
      send_replies();
      greet_subscribers();
      hurry = publish_events();
      receive_requests();
    } catch (const std::exception& exception) {
      spdlog::error("zmq: {}", exception.what());
    }
  }
  finish();
}

void ZmqServer::Loop::wait(bool hurry) {
  constexpr std::chrono::milliseconds kWhenStopping{50};
  constexpr std::chrono::milliseconds kForEver{-1};
  const bool listening = !stopping_ && has_room();
  std::array<zmq::pollitem_t, 3> items{{{nullptr, outbox_->wake_fd(), ZMQ_POLLIN, 0},
                                        {publisher_.handle(), 0, ZMQ_POLLIN, 0},
                                        {router_.handle(), 0, ZMQ_POLLIN, 0}}};
  const auto timeout = hurry ? std::chrono::milliseconds(0) : stopping_ ? kWhenStopping : kForEver;
  try {
    zmq::poll(items.data(), listening ? 3 : 2, timeout);
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
  }
}

void ZmqServer::Loop::receive_requests() {
  for (int i = 0; i < kRequestsAtOnce && !stopping_ && has_room(); ++i) {
    auto frames = receive(router_);
    if (frames.empty()) return;
    take(std::move(frames));
  }
}

void ZmqServer::Loop::take(Frames frames) {
  // [client] [] JSON [content]; the empty delimiter comes from REQ sockets and goes back with the reply.
  const bool delimited = frames.size() > 2 && frames[1].size() == 0;
  const std::size_t first = delimited ? 2 : 1;
  std::vector<std::string> envelope{frames[0].to_string()};
  if (delimited) envelope.emplace_back();
  const std::size_t payload = frames.size() - first;
  wire::ParsedRequest parsed{std::nullopt, "unknown", make_error(ErrorCode::kInvalidRequest, "the message is empty")};
  zmq::message_t content;
  if (payload > 0) parsed = wire::parse_request(frames[first].to_string_view(), payload > 1);
  if (payload > 2) {
    parsed.operation = make_error(ErrorCode::kInvalidRequest, "a request has one frame of JSON and at most one of content");
  } else if (payload == 2) {
    content = std::move(frames[first + 1]);
    if (Bytes size{content.size()}; parsed.operation && size > sockets_.max_message) {
      parsed.operation =
          make_error(ErrorCode::kPictureTooLarge, "the picture has " + to_string(size) + "; zmq.max_message is " +
                                                      to_string(sockets_.max_message) + ", larger ones go by path");
      content = {};
    }
  }
  if (parsed.operation && is_heavy(parsed) && *unsent_ > kMostUnsent.value) {
    parsed.operation = make_error(ErrorCode::kBusy, "too many answers wait to be taken by their clients");
  }
  dispatch(std::move(parsed), std::move(envelope), std::move(content));
}

/// What a worker gets; shared because std::function must be able to copy.
struct ZmqServer::Loop::Request {
  wire::ParsedRequest parsed;
  std::vector<std::string> envelope;
  zmq::message_t content;
  bool has_content = false;
};

void ZmqServer::Loop::dispatch(wire::ParsedRequest parsed, std::vector<std::string> envelope, zmq::message_t content) {
  ++under_way_;
  const Bytes size{content.size()};
  content_under_way_ += size;
  const bool at_once = !parsed.operation || std::holds_alternative<wire::Ping>(*parsed.operation);
  ZmqWorker& worker = worker_for(parsed, envelope[0]);
  const bool is_upload = parsed.operation && std::holds_alternative<wire::Submit>(*parsed.operation) &&
                         std::get<wire::Submit>(*parsed.operation).path.empty();
  auto request = std::make_shared<Request>(Request{std::move(parsed), std::move(envelope), std::move(content), is_upload});
  auto task = [request = std::move(request), operations = operations_, outbox = outbox_, size] {
    std::optional<std::span<const std::uint8_t>> bytes;
    if (request->has_content) bytes.emplace(request->content.data<const std::uint8_t>(), request->content.size());
    operations->run(std::move(request->parsed), bytes, [envelope = request->envelope, outbox, size](ZmqAnswer answer) {
      outbox->post({envelope, std::move(answer.text), std::move(answer.content), size});
    });
  };
  if (at_once) return task();
  worker.post(std::move(task));
}

ZmqWorker& ZmqServer::Loop::worker_for(const wire::ParsedRequest& request, const std::string& client) {
  const bool files = request.op == wire::Submit::kName || request.op == wire::Fetch::kName;
  return files ? *file_workers_[std::hash<std::string>{}(client) % kFileWorkers] : *store_worker_;
}

void ZmqServer::Loop::send_replies() {
  for (auto& reply : outbox_->take()) {
    --under_way_;
    content_under_way_ -= reply.request_content;
    send(std::move(reply));
  }
}

void ZmqServer::Loop::send(ZmqOutbox::Reply reply) {
  constexpr auto kMore = zmq::send_flags::sndmore | zmq::send_flags::dontwait;
  constexpr auto kLast = zmq::send_flags::dontwait;
  try {
    // Only the first frame can be refused: client gone, or it takes no replies.
    if (!router_.send(zmq::buffer(reply.envelope[0]), kMore)) {
      if (lost_replies_++ == 0) spdlog::warn("zmq: a client takes no answers; they are dropped");
      return;
    }
    for (std::size_t i = 1; i < reply.envelope.size(); ++i) (void)router_.send(zmq::buffer(reply.envelope[i]), kMore);
    (void)router_.send(counted_frame(std::move(reply.text), unsent_), reply.content ? kMore : kLast);
    if (reply.content) (void)router_.send(counted_frame(std::move(*reply.content), unsent_), kLast);
  } catch (const zmq::error_t& error) {
    if (error.num() != EHOSTUNREACH) throw;
    spdlog::debug("zmq: a client went away before its answer");
  }
}

bool ZmqServer::Loop::publish_events() {
  const auto messages = events_.take(kEventsAtOnce);
  for (const auto& message : messages) {
    (void)publisher_.send(zmq::buffer(message.topic), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)publisher_.send(zmq::buffer(message.text), zmq::send_flags::dontwait);
    if (event_published_) event_published_();
  }
  return messages.size() == kEventsAtOnce;
}

void ZmqServer::Loop::greet_subscribers() {
  // Subscriptions of one client arrive in order: whoever hears its own "hello." knows that those before it hold.
  static const std::string kText = wire::dump({{"v", wire::kVersion}, {"kind", "subscribed"}});
  for (int i = 0; i < kRequestsAtOnce; ++i) {
    const auto frames = receive(publisher_);
    if (frames.empty()) return;
    const auto text = frames[0].to_string_view();
    if (text.empty() || text[0] != 1 || !text.substr(1).starts_with(kHello)) continue;
    (void)publisher_.send(zmq::buffer(text.substr(1)), zmq::send_flags::sndmore | zmq::send_flags::dontwait);
    (void)publisher_.send(zmq::buffer(kText), zmq::send_flags::dontwait);
  }
}

void ZmqServer::Loop::finish() {
  events_.set_wakeup({});
  const auto patience = static_cast<int>(patience_.load().count());
  try {
    const auto deadline = std::chrono::steady_clock::now() + patience_.load();
    while (publish_events() && std::chrono::steady_clock::now() < deadline) {
    }
    for (const auto* endpoint : {&sockets_.requests, &sockets_.events}) remove_endpoint(*endpoint);
    for (auto* socket : {&router_, &publisher_}) {
      socket->set(zmq::sockopt::linger, patience);
      socket->close();
    }
    context_.close();  // waits for what lingers
  } catch (const std::exception& exception) {
    spdlog::error("zmq: {}", exception.what());
  }
}

ZmqServer::ZmqServer(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

ZmqServer::~ZmqServer() { stop(); }

Result<std::unique_ptr<ZmqServer>> ZmqServer::start(const ZmqServerOptions& options, queue::JobStore& store, Admission& admission,
                                                    EventPublisher& events, ZmqHooks hooks) {
  auto outbox = ZmqOutbox::create();
  if (!outbox) return outbox.error();
  try {
    auto loop = std::make_unique<Loop>(options, store, admission, events, std::move(hooks), std::move(*outbox));
    if (auto bound = loop->bind(); !bound) return bound.error();
    loop->start();
    return std::unique_ptr<ZmqServer>(new ZmqServer(std::move(loop)));
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, std::string("zmq: ") + error.what());
  }
}

void ZmqServer::stop(std::chrono::milliseconds patience) { loop_->stop(patience); }

}  // namespace retouchd::intake
