#include "intake/zmq_loop.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "intake/zmq_endpoint.h"

namespace retouchd::intake {
namespace {

constexpr std::size_t kFileWorkers = 4;
constexpr std::size_t kCountedFrom = 4'096;  ///< replies shorter than this are not worth counting
constexpr int kRequestsAtOnce = 64;
constexpr int kReceiveHighWater = 16;     // per client; a message may hold a whole picture
constexpr int kReplyHighWater = 100'000;  // per client

/// A frame that is counted in `unsent` until libzmq has written it to the client or given it up.
zmq::message_t counted_frame(std::string text, const std::shared_ptr<std::atomic<std::uint64_t>>& unsent) {
  if (text.size() < kCountedFrom) return zmq::message_t(text.data(), text.size());
  struct Holder {
    std::string text;
    std::shared_ptr<std::atomic<std::uint64_t>> unsent;
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

bool is_for_files(const wire::ParsedRequest& request) {
  return request.op == wire::Submit::kName || request.op == wire::Fetch::kName || request.op == wire::Upload::kName;
}

}  // namespace

/// What a worker gets; shared because std::function must be able to copy.
struct ZmqLoop::Request {
  Asker asker;
  wire::ParsedRequest parsed{std::nullopt, "unknown", make_error(ErrorCode::kInvalidRequest, "the message is empty")};
  std::vector<std::string> envelope{};
  zmq::message_t content{};
  bool has_content = false;
};

ZmqLoop::ZmqLoop(ZmqLoopOptions options, std::shared_ptr<ZmqOperations> operations, std::shared_ptr<ZmqOutbox> outbox,
                 zmq::context_t& context)
    : options_(std::move(options)),
      outbox_(std::move(outbox)),
      operations_(std::move(operations)),
      context_(context),
      router_(context, zmq::socket_type::router) {}

ZmqLoop::~ZmqLoop() { stop({}); }

Result<void> ZmqLoop::bind() {
  const auto largest = 2 * std::max(options_.max_content, wire::kMaxEnvelope).value;
  try {
    router_.set(zmq::sockopt::router_mandatory, true);
    router_.set(zmq::sockopt::rcvhwm, kReceiveHighWater);
    router_.set(zmq::sockopt::sndhwm, kReplyHighWater);
    router_.set(zmq::sockopt::handshake_ivl, 5'000);
    router_.set(zmq::sockopt::linger, 0);
    // Up to twice the limit is read and refused with a reason; beyond that the connection is cut before memory is taken.
    router_.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(largest));
    if (options_.prepare) options_.prepare(router_);
  } catch (const zmq::error_t& error) {
    return make_error(ErrorCode::kBadConfig, options_.key + ": " + error.what());
  }
  return bind_endpoint(router_, options_.key, options_.endpoint, options_.mode);
}

std::string ZmqLoop::endpoint() const { return router_.get(zmq::sockopt::last_endpoint); }

void ZmqLoop::start() {
  for (std::size_t i = 0; i < kFileWorkers; ++i) file_workers_.push_back(std::make_unique<ZmqWorker>(options_.thread + "-files"));
  store_worker_ = std::make_unique<ZmqWorker>(options_.thread + "-store");
  if (feed_) feed_->set_wakeup([outbox = outbox_] { outbox->wake(); });
  thread_ = std::thread([this] { serve(); });
  pthread_setname_np(thread_.native_handle(), options_.thread.c_str());
}

void ZmqLoop::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return;
  patience_ = patience;
  stopping_ = true;
  outbox_->wake();
  thread_.join();
  file_workers_.clear();
  store_worker_.reset();
}

void ZmqLoop::serve() {
  bool hurry = true;
  std::optional<TimePoint> deadline;
  while (true) {
    try {
      if (stopping_ && !deadline) deadline = std::chrono::steady_clock::now() + patience_.load();
      if (deadline && (under_way_ == 0 || std::chrono::steady_clock::now() >= *deadline)) break;
      wait(hurry);
      outbox_->clear_wake();
      send_replies();
      if (feed_) feed_->greet();
      hurry = feed_ && feed_->publish();
      receive_requests();
    } catch (const std::exception& exception) {
      spdlog::error("{}: {}", options_.key, exception.what());
    }
  }
  finish();
}

void ZmqLoop::wait(bool hurry) {
  constexpr std::chrono::milliseconds kWhenStopping{50};
  constexpr std::chrono::milliseconds kForEver{-1};
  std::array<zmq::pollitem_t, 3> items{};
  std::size_t count = 0;
  items[count++] = {nullptr, outbox_->wake_fd(), ZMQ_POLLIN, 0};
  if (feed_) items[count++] = {feed_->handle(), 0, ZMQ_POLLIN, 0};
  if (!stopping_ && has_room()) items[count++] = {router_.handle(), 0, ZMQ_POLLIN, 0};
  const auto timeout = hurry ? std::chrono::milliseconds(0) : stopping_ ? kWhenStopping : kForEver;
  try {
    zmq::poll(items.data(), count, timeout);
  } catch (const zmq::error_t& error) {
    if (error.num() != EINTR) throw;
  }
}

void ZmqLoop::receive_requests() {
  for (int i = 0; i < kRequestsAtOnce && !stopping_ && has_room(); ++i) {
    auto frames = receive_frames(router_);
    if (frames.empty()) return;
    take(std::move(frames));
  }
}

void ZmqLoop::take(ZmqFrames frames) {
  // [client] [] JSON [content]; the empty delimiter comes from REQ sockets and goes back with the reply.
  const bool delimited = frames.size() > 2 && frames[1].size() == 0;
  const std::size_t first = delimited ? 2 : 1;
  const std::size_t payload = frames.size() - first;
  Request request;
  request.envelope.push_back(frames[0].to_string());
  if (delimited) request.envelope.emplace_back();
  if (payload > 0) request.parsed = wire::parse_request(frames[first].to_string_view(), payload > 1);
  auto& operation = request.parsed.operation;
  const auto refuse_unless = [&operation](const Result<void>& fine) {
    if (operation && !fine) operation = fine.error();
  };
  Result<Asker> asker = options_.asker_of ? options_.asker_of(frames.back()) : Result<Asker>(Asker{});
  if (!asker) operation = asker.error();
  request.asker = asker ? std::move(*asker) : Asker{"", true};
  if (payload > 2) {
    operation = make_error(ErrorCode::kInvalidRequest, "a request has one frame of JSON and at most one of content");
  } else if (payload == 2) {
    refuse_unless(check_content(frames[first + 1]));
    request.has_content = operation.ok();
    if (operation) request.content = std::move(frames[first + 1]);
  }
  refuse_unless(check_account(request.parsed, accounts_[request.asker.origin]));
  dispatch(std::move(request));
}

Result<void> ZmqLoop::check_content(const zmq::message_t& content) const {
  if (const Bytes size{content.size()}; size > options_.max_content)
    return make_error(ErrorCode::kPictureTooLarge, "the binary frame has " + to_string(size) + "; " + options_.too_large);
  return {};
}

Result<void> ZmqLoop::check_account(const wire::ParsedRequest& request, const Account& account) const {
  if (is_heavy(request) && *account.unsent > options_.most_unsent.value)
    return make_error(ErrorCode::kBusy, "too many answers wait to be taken by their clients");
  if (account.under_way >= options_.most_of_one)
    return make_error(ErrorCode::kBusy, std::to_string(account.under_way) + " requests of this client are under way already");
  return {};
}

void ZmqLoop::dispatch(Request request) {
  ++under_way_;
  ++accounts_[request.asker.origin].under_way;
  const Bytes size{request.content.size()};
  content_under_way_ += size;
  const bool at_once = !request.parsed.operation || std::holds_alternative<wire::Ping>(*request.parsed.operation);
  ZmqWorker& worker = worker_for(request);
  auto shared = std::make_shared<Request>(std::move(request));
  auto task = [shared = std::move(shared), operations = operations_, outbox = outbox_, size] {
    std::optional<std::span<const std::uint8_t>> bytes;
    if (shared->has_content) bytes.emplace(shared->content.data<const std::uint8_t>(), shared->content.size());
    const auto answered = [envelope = shared->envelope, origin = shared->asker.origin, outbox, size](ZmqAnswer answer) {
      outbox->post({envelope, std::move(answer.text), std::move(answer.content), origin, size});
    };
    operations->run(shared->asker, std::move(shared->parsed), bytes, answered);
  };
  if (at_once) return task();
  worker.post(std::move(task));
}

ZmqWorker& ZmqLoop::worker_for(const Request& request) {
  if (!is_for_files(request.parsed)) return *store_worker_;
  // A guest has one worker, however many connections it makes.
  const std::string& lane = request.asker.is_guest ? request.asker.origin : request.envelope[0];
  return *file_workers_[std::hash<std::string>{}(lane) % kFileWorkers];
}

void ZmqLoop::send_replies() {
  for (auto& reply : outbox_->take()) {
    --under_way_;
    --accounts_[reply.origin].under_way;
    content_under_way_ -= reply.request_content;
    send(std::move(reply));
  }
}

void ZmqLoop::send(ZmqOutbox::Reply reply) {
  constexpr auto kMore = zmq::send_flags::sndmore | zmq::send_flags::dontwait;
  constexpr auto kLast = zmq::send_flags::dontwait;
  const auto& unsent = accounts_[reply.origin].unsent;
  try {
    // Only the first frame can be refused: client gone, or it takes no replies.
    if (!router_.send(zmq::buffer(reply.envelope[0]), kMore)) {
      if (lost_replies_++ == 0) spdlog::warn("{}: a client takes no answers; they are dropped", options_.key);
      return;
    }
    for (std::size_t i = 1; i < reply.envelope.size(); ++i) (void)router_.send(zmq::buffer(reply.envelope[i]), kMore);
    (void)router_.send(counted_frame(std::move(reply.text), unsent), reply.content ? kMore : kLast);
    if (reply.content) (void)router_.send(counted_frame(std::move(*reply.content), unsent), kLast);
  } catch (const zmq::error_t& error) {
    if (error.num() != EHOSTUNREACH) throw;
    spdlog::debug("{}: a client went away before its answer", options_.key);
  }
}

void ZmqLoop::finish() {
  try {
    if (feed_) feed_->finish(patience_);
    remove_endpoint(options_.endpoint);
    router_.set(zmq::sockopt::linger, static_cast<int>(patience_.load().count()));
    router_.close();
    context_.close();  // waits for what lingers
  } catch (const std::exception& exception) {
    spdlog::error("{}: {}", options_.key, exception.what());
  }
}

}  // namespace retouchd::intake
