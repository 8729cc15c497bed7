#include "intake/zap_handler.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

#include "intake/wire/key_file.h"

namespace retouchd::intake {
namespace {

/// version, request id, domain, address, routing id, mechanism, credentials
constexpr std::size_t kFrames = 7;
constexpr std::size_t kKeyBytes = 32;

std::string key_in(const std::vector<std::string>& frames) {
  const std::string& credentials = frames[6];
  if (frames[0] != "1.0" || frames[2] != ZapHandler::kDomain || frames[5] != "CURVE" || credentials.size() != kKeyBytes)
    return {};
  std::array<char, wire::kCurveKeyLength + 1> text{};
  ::zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(credentials.data()), credentials.size());
  return text.data();
}

}  // namespace

ZapHandler::ZapHandler(zmq::context_t& context, std::function<bool(const std::string&)> is_known,
                       std::function<void(const std::string&, const std::string&)> denied)
    : is_known_(std::move(is_known)), denied_(std::move(denied)), socket_(context, zmq::socket_type::rep) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.bind("inproc://zeromq.zap.01");
  thread_ = std::thread([this] { serve(); });
  pthread_setname_np(thread_.native_handle(), "zap");
}

ZapHandler::~ZapHandler() { thread_.join(); }

void ZapHandler::serve() {
  while (true) {
    try {
      answer();
    } catch (const zmq::error_t& error) {
      if (error.num() == ETERM) break;
      if (error.num() != EINTR) spdlog::error("zap: {}", error.what());
    } catch (const std::exception& exception) {
      spdlog::error("zap: {}", exception.what());
    }
  }
  socket_.close();
}

void ZapHandler::answer() {
  std::vector<std::string> frames;
  zmq::message_t frame;
  do {
    if (!socket_.recv(frame)) return;
    frames.push_back(frame.to_string());
  } while (frame.more());
  frames.resize(kFrames);
  const std::string key = key_in(frames);
  const bool is_let_in = !key.empty() && is_known_(key);
  const std::array<std::string, 6> reply{
      "1.0", frames[1], is_let_in ? "200" : "400", is_let_in ? "OK" : "unknown key", is_let_in ? key : "", ""};
  for (std::size_t i = 0; i < reply.size(); ++i)
    (void)socket_.send(zmq::buffer(reply[i]), i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  if (!is_let_in) denied_(key, frames[3]);
}

}  // namespace retouchd::intake
