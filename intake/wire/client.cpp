#include "intake/wire/client.h"

#include <array>
#include <deque>
#include <limits>
#include <optional>
#include <random>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "intake/wire/key_file.h"

namespace retouchd::wire {
namespace {

/// Replies and events that nobody has taken yet may pile up here rather than be dropped by the daemon.
constexpr int kReceiveHighWater = 100'000;
constexpr int kSendHighWater = 10'000;
/// To a node each message may hold a part of a picture.
constexpr int kNodeHighWater = 64;
constexpr std::int64_t kLargestNodeFrame = static_cast<std::int64_t>((kMaxChunk + kibibytes(64)).value);
/// JSON of a node: its answers are short, and parsed values take far more memory than their text.
constexpr std::size_t kLongestNodeJson = kibibytes(256).value;
constexpr int kMostFrames = 3;
/// A subscription to "hello.<something>" is answered by the daemon, see docs/protocol.md.
constexpr std::string_view kHello = "hello.";

using Frames = std::vector<zmq::message_t>;

/// All frames of one message, or nullopt when none is waiting.
std::optional<Frames> receive_frames(zmq::socket_t& socket) {
  Frames frames;
  bool more = false;
  do {
    zmq::message_t frame;
    try {
      if (!socket.recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
    } catch (const zmq::error_t& error) {
      if (error.num() == EINTR) return std::nullopt;
      throw;
    }
    more = frame.more();
    if (frames.size() < kMostFrames) frames.push_back(std::move(frame));
  } while (more);
  return frames;
}

/// For a line that may be slow, lossy, or die without a word, to a node that may do anything.
void prepare_for_node(zmq::socket_t& socket, const CurveKeys& keys) {
  socket.set(zmq::sockopt::curve_serverkey, keys.server_public);
  socket.set(zmq::sockopt::curve_publickey, keys.own_public);
  socket.set(zmq::sockopt::curve_secretkey, keys.own_secret);
  socket.set(zmq::sockopt::connect_timeout, 10'000);
  socket.set(zmq::sockopt::handshake_ivl, 10'000);
  socket.set(zmq::sockopt::heartbeat_ivl, 10'000);
  socket.set(zmq::sockopt::heartbeat_timeout, 30'000);
  socket.set(zmq::sockopt::heartbeat_ttl, 30'000);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::reconnect_ivl, 250);
  socket.set(zmq::sockopt::reconnect_ivl_max, 10'000);
  socket.set(zmq::sockopt::maxmsgsize, kLargestNodeFrame);
  socket.set(zmq::sockopt::rcvhwm, kNodeHighWater);
  socket.set(zmq::sockopt::sndhwm, kNodeHighWater);
}

}  // namespace

struct Client::Sockets {
  zmq::context_t context{1};
  zmq::socket_t requests{context, zmq::socket_type::dealer};
  zmq::socket_t events{context, zmq::socket_type::sub};
  std::deque<Incoming> kept;
  bool greeted = false;
  std::size_t most_json = std::numeric_limits<std::size_t>::max();  ///< of a reply; a longer one is dropped

  Result<void> connect(zmq::socket_t& socket, const std::string& endpoint, const std::optional<CurveKeys>& curve = {});

  std::optional<Incoming> take_reply();
  std::optional<Incoming> take_event();
  std::optional<Incoming> receive(std::chrono::milliseconds timeout);
};

Result<void> Client::Sockets::connect(zmq::socket_t& socket, const std::string& endpoint, const std::optional<CurveKeys>& curve) {
  try {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvhwm, kReceiveHighWater);
    socket.set(zmq::sockopt::sndhwm, kSendHighWater);
    socket.set(zmq::sockopt::reconnect_ivl, 100);
    socket.set(zmq::sockopt::reconnect_ivl_max, 1'000);
    if (curve) prepare_for_node(socket, *curve);
    if (curve) most_json = kLongestNodeJson;
    if (endpoint.starts_with("tcp://[")) socket.set(zmq::sockopt::ipv6, true);
    socket.connect(endpoint);
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, "cannot connect to " + endpoint + ": " + error.what());
  }
  return {};
}

std::optional<Client::Incoming> Client::Sockets::take_reply() {
  auto frames = receive_frames(requests);
  if (!frames) return std::nullopt;
  if (frames->front().size() > most_json) return std::nullopt;
  auto reply = parse_reply(frames->front().to_string_view());
  if (!reply) return std::nullopt;  // not ours; the caller's time-out speaks for it
  if (frames->size() > 1) reply->content = frames->at(1).to_string();
  return Incoming{std::move(*reply)};
}

std::optional<Client::Incoming> Client::Sockets::take_event() {
  auto frames = receive_frames(events);
  if (!frames || frames->size() < 2) return std::nullopt;
  if (frames->front().to_string_view().starts_with(kHello)) {
    greeted = true;
    return std::nullopt;
  }
  auto body = nlohmann::json::parse(frames->at(1).to_string_view(), nullptr, false);
  if (!body.is_object()) return std::nullopt;
  return Incoming{Event{std::move(body)}};
}

std::optional<Client::Incoming> Client::Sockets::receive(std::chrono::milliseconds timeout) {
  // Replies first: an accepted submit is known before the job's events.
  if (auto reply = take_reply()) return reply;
  if (auto event = take_event()) return event;
  std::array<zmq::pollitem_t, 2> items{{{requests.handle(), 0, ZMQ_POLLIN, 0}, {events.handle(), 0, ZMQ_POLLIN, 0}}};
  try {
    if (zmq::poll(items, timeout) == 0) return std::nullopt;
  } catch (const zmq::error_t& error) {
    if (error.num() == EINTR) return std::nullopt;
    throw;
  }
  if (auto reply = take_reply()) return reply;
  return take_event();
}

Client::Client(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::connect(const std::string& requests, const std::optional<CurveKeys>& curve) {
  if (curve) {
    for (const auto* key : {&curve->server_public, &curve->own_public, &curve->own_secret}) {
      if (key->size() != kCurveKeyLength) return make_error(ErrorCode::kBadConfig, "a CURVE key has 40 characters");
    }
  }
  auto sockets = std::make_unique<Sockets>();
  if (auto connected = sockets->connect(sockets->requests, requests, curve); !connected) return connected.error();
  return std::unique_ptr<Client>(new Client(std::move(sockets)));
}

Result<void> Client::listen(const std::string& events, std::span<const std::string> prefixes, std::chrono::milliseconds timeout) {
  auto& socket = sockets_->events;
  for (const auto& prefix : prefixes) socket.set(zmq::sockopt::subscribe, prefix);
  socket.set(zmq::sockopt::subscribe, std::string(kHello) + std::to_string(std::random_device{}()));
  if (auto connected = sockets_->connect(socket, events); !connected) return connected;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!sockets_->greeted) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return make_error(ErrorCode::kUnreachable,
                        "no events came from " + events + " within " + std::to_string(timeout.count()) + " ms");
    }
    if (auto incoming = sockets_->receive(left)) sockets_->kept.push_back(std::move(*incoming));
  }
  return {};
}

Result<void> Client::send(const Request& request, std::span<const std::uint8_t> content) {
  const auto text = to_text(request);
  if (!text) return text.error();
  const bool may_have_content =
      std::holds_alternative<Submit>(request.operation) || std::holds_alternative<Upload>(request.operation);
  const bool with_content = may_have_content && !content.empty();
  try {
    const auto more = with_content ? zmq::send_flags::sndmore : zmq::send_flags::none;
    if (!sockets_->requests.send(zmq::buffer(*text), more | zmq::send_flags::dontwait)) {
      return make_error(ErrorCode::kUnreachable, "too many requests wait for the daemon");
    }
    if (with_content) (void)sockets_->requests.send(zmq::buffer(content.data(), content.size()), zmq::send_flags::none);
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kUnreachable, std::string("cannot send: ") + error.what());
  }
  return {};
}

Client::Incoming Client::next(std::chrono::milliseconds timeout) {
  if (!sockets_->kept.empty()) {
    auto first = std::move(sockets_->kept.front());
    sockets_->kept.pop_front();
    return first;
  }
  return sockets_->receive(timeout).value_or(Incoming{});
}

Result<Reply> Client::call(Operation operation, std::chrono::milliseconds timeout, std::span<const std::uint8_t> content) {
  const std::string name(name_of(operation));
  const std::string id = "call-" + std::to_string(++calls_);
  if (auto sent = send({id, std::move(operation)}, content); !sent) return sent.error();
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (auto left = timeout; left.count() > 0;
       left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())) {
    auto incoming = sockets_->receive(left);
    if (!incoming) continue;
    auto* reply = std::get_if<Reply>(&*incoming);
    if (reply == nullptr || reply->id != id) {
      sockets_->kept.push_back(std::move(*incoming));
      continue;
    }
    if (reply->error) return *reply->error;
    return std::move(*reply);
  }
  return make_error(ErrorCode::kUnreachable,
                    "the daemon did not answer " + name + " within " + std::to_string(timeout.count()) + " ms");
}

}  // namespace retouchd::wire
