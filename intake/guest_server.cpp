#include "intake/guest_server.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <zmq.hpp>

#include "intake/client_list.h"
#include "intake/wire/key_file.h"
#include "intake/zap_handler.h"
#include "intake/zmq_loop.h"

namespace retouchd::intake {
namespace {

constexpr int kListenBacklog = 256;
constexpr int kZapEnforceDomain = 93;  ///< ZMQ_ZAP_ENFORCE_DOMAIN, which zmq.h names in builds of drafts only

/// The list of clients as threads share it, and how many others knocked.
class DoorKeeper {
 public:
  explicit DoorKeeper(ClientList list) : list_(std::move(list)) {}

  void replace(ClientList list) {
    const std::lock_guard lock(mutex_);
    list_ = std::move(list);
  }
  [[nodiscard]] std::optional<std::string> name_of(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    return list_.name_of(key);
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return list_.size();
  }

  /// On the ZAP handler's thread. Strangers may knock as often as they like: the log hears of it once a second.
  void deny(const std::string& key, const std::string& address) {
    ++denied_;
    ++unsaid_;
    const auto now = std::chrono::steady_clock::now();
    if (said_at_ && now - *said_at_ < std::chrono::seconds(1)) return;
    spdlog::warn("serve: turned away {} (key {}), which is not in serve.clients{}", address, key.empty() ? "none" : key,
                 unsaid_ > 1 ? "; " + std::to_string(unsaid_ - 1) + " more before" : "");
    said_at_ = now;
    unsaid_ = 0;
  }
  [[nodiscard]] std::uint64_t denied() const noexcept { return denied_; }

 private:
  mutable std::mutex mutex_;
  ClientList list_;  // guarded by mutex_
  std::atomic<std::uint64_t> denied_{0};
  std::uint64_t unsaid_ = 0;  // the handler's thread only, like the next
  std::optional<std::chrono::steady_clock::time_point> said_at_;
};

/// Whose message that is, by the key that the ZAP handler let in.
Result<Asker> asker_of(const DoorKeeper& door, zmq::message_t& frame) {
  const char* key = ::zmq_msg_gets(frame.handle(), "User-Id");
  const auto name = key == nullptr ? std::nullopt : door.name_of(key);
  if (!name) return make_error(ErrorCode::kInvalidRequest, "this key may no longer send pictures here");
  return Asker::guest(*name);
}

void secure(zmq::socket_t& socket, const wire::KeyPair& keys) {
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_publickey, keys.public_key);
  socket.set(zmq::sockopt::curve_secretkey, keys.secret_key);
  socket.set(zmq::sockopt::zap_domain, std::string(ZapHandler::kDomain));
  // Nobody is let in without the handler's word, even if there were none. (A libzmq that does not know this would let peers
  // without a User-Id in; their requests are refused.)
  constexpr int kYes = 1;
  (void)::zmq_setsockopt(socket.handle(), kZapEnforceDomain, &kYes, sizeof kYes);
  socket.set(zmq::sockopt::heartbeat_ivl, 10'000);
  socket.set(zmq::sockopt::heartbeat_timeout, 30'000);
  socket.set(zmq::sockopt::heartbeat_ttl, 30'000);
  socket.set(zmq::sockopt::tcp_keepalive, 1);
  socket.set(zmq::sockopt::backlog, kListenBacklog);
}

ZmqLoopOptions loop_options(const config::Serve& serve) {
  ZmqLoopOptions options;
  options.key = "serve.listen";
  options.endpoint = serve.listen;
  options.max_content = wire::kMaxPart;
  options.too_large = "a part of an upload has at most " + to_string(wire::kMaxPart);
  options.thread = "guests";
  options.most_under_way = 1'024;
  options.most_of_one = 128;
  options.most_content = mebibytes(128);
  options.most_unsent = mebibytes(48);
  return options;
}

}  // namespace

/// They go the other way round than they came: the socket, the context, and the handler, whose thread ends with the context.
struct GuestServer::Sockets {
  Sockets(wire::KeyPair pair, ClientList list) : keys(std::move(pair)), door(std::move(list)) {}
  ~Sockets() {
    loop.reset();
    context.close();
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  const wire::KeyPair keys;
  DoorKeeper door;
  std::string endpoint;
  std::optional<ZapHandler> zap;
  zmq::context_t context{1};
  std::unique_ptr<ZmqLoop> loop;
};

GuestServer::GuestServer(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}

GuestServer::~GuestServer() { stop(); }

Result<std::unique_ptr<GuestServer>> GuestServer::start(const GuestServerOptions& options, queue::JobStore& store,
                                                        Admission& admission, ZmqHooks hooks) {
  auto keys = wire::read_key_file(options.serve.key);
  if (!keys) return make_error(keys.error().code, "serve.key: " + keys.error().message);
  auto clients = ClientList::read(options.serve.clients);
  if (!clients) return clients.error();
  if (clients->size() == 0)
    spdlog::warn("serve.clients: {} names nobody; nobody can send pictures", options.serve.clients.string());
  auto outbox = ZmqOutbox::create();
  if (!outbox) return outbox.error();
  try {
    auto sockets = std::make_unique<Sockets>(*std::move(keys), *std::move(clients));
    DoorKeeper& door = sockets->door;
    sockets->zap.emplace(
        sockets->context, [&door](const std::string& key) { return door.name_of(key).has_value(); },
        [&door](const std::string& key, const std::string& address) { door.deny(key, address); });
    auto loop = loop_options(options.serve);
    loop.prepare = [&pair = sockets->keys](zmq::socket_t& socket) { secure(socket, pair); };
    loop.asker_of = [&door](zmq::message_t& frame) { return asker_of(door, frame); };
    const nlohmann::json about{{"version", options.version}, {"protocol", wire::kVersion}};
    auto operations = std::make_shared<ZmqOperations>(store, admission, std::move(hooks), about);
    sockets->loop = std::make_unique<ZmqLoop>(std::move(loop), std::move(operations), std::move(*outbox), sockets->context);
    if (auto bound = sockets->loop->bind(); !bound) return bound.error();
    sockets->endpoint = sockets->loop->endpoint();
    sockets->loop->start();
    return std::unique_ptr<GuestServer>(new GuestServer(std::move(sockets)));
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, "serve.listen: cannot listen on " + options.serve.listen + ": " + error.what());
  }
}

Result<void> GuestServer::reload_clients(const std::filesystem::path& clients) {
  auto list = ClientList::read(clients);
  if (!list) return list.error();
  sockets_->door.replace(*std::move(list));
  return {};
}

void GuestServer::stop(std::chrono::milliseconds patience) { sockets_->loop->stop(patience); }

const std::string& GuestServer::endpoint() const noexcept { return sockets_->endpoint; }
std::string GuestServer::public_key() const { return sockets_->keys.public_key; }
std::size_t GuestServer::clients() const { return sockets_->door.size(); }
std::uint64_t GuestServer::denied() const noexcept { return sockets_->door.denied(); }

}  // namespace retouchd::intake
