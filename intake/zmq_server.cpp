#include "intake/zmq_server.h"

#include <unistd.h>

#include <utility>
#include <zmq.hpp>

#include "intake/zmq_loop.h"

namespace retouchd::intake {
namespace {

nlohmann::json about_daemon(const ZmqServerOptions& options) {
  return {{"version", options.version},
          {"protocol", wire::kVersion},
          {"pid", ::getpid()},
          {"requests", options.sockets.requests},
          {"events", options.sockets.events},
          {"max_message", options.sockets.max_message.value}};
}

ZmqLoopOptions loop_options(const config::ZeroMq& sockets) {
  ZmqLoopOptions options;
  options.key = "zmq.requests";
  options.endpoint = sockets.requests;
  options.mode = sockets.mode;
  options.max_content = sockets.max_message;
  options.too_large = "zmq.max_message is " + to_string(sockets.max_message) + ", larger pictures go by path or in parts";
  options.thread = "zmq";
  return options;
}

}  // namespace

struct ZmqServer::Sockets {
  zmq::context_t context{1};
  std::unique_ptr<ZmqLoop> loop;
};

ZmqServer::ZmqServer(std::unique_ptr<Sockets> sockets) : sockets_(std::move(sockets)) {}

ZmqServer::~ZmqServer() { stop(); }

Result<std::unique_ptr<ZmqServer>> ZmqServer::start(const ZmqServerOptions& options, queue::JobStore& store, Admission& admission,
                                                    EventPublisher& events, ZmqHooks hooks) {
  auto outbox = ZmqOutbox::create();
  if (!outbox) return outbox.error();
  try {
    auto sockets = std::make_unique<Sockets>();
    auto feed = std::make_unique<ZmqFeed>(sockets->context, events, hooks.event_published);
    auto operations = std::make_shared<ZmqOperations>(store, admission, std::move(hooks), about_daemon(options));
    sockets->loop =
        std::make_unique<ZmqLoop>(loop_options(options.sockets), std::move(operations), std::move(*outbox), sockets->context);
    if (auto bound = sockets->loop->bind(); !bound) return bound.error();
    if (auto bound = feed->bind(options.sockets.events, options.sockets.mode); !bound) return bound.error();
    sockets->loop->add(std::move(feed));
    sockets->loop->start();
    return std::unique_ptr<ZmqServer>(new ZmqServer(std::move(sockets)));
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, std::string("zmq: ") + error.what());
  }
}

void ZmqServer::stop(std::chrono::milliseconds patience) { sockets_->loop->stop(patience); }

}  // namespace retouchd::intake
