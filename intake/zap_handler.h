#pragma once

#include <functional>
#include <string>
#include <thread>
#include <zmq.hpp>

namespace retouchd::intake {

/// Answers libzmq's question who may connect (ZAP, ZeroMQ RFC 27), for the CURVE sockets of one context. CURVE alone encrypts; it
/// lets in everybody who knows the node's public key.
///
/// Whoever is let in is known by its public key from then on: message metadata "User-Id".
class ZapHandler {
 public:
  static constexpr const char* kDomain = "retouchd";

  /// `is_known` (a public key in Z85) is asked on a thread of the handler, as is `denied` (the same, and the peer's address).
  /// Sockets of `context` that name kDomain and enforce it may be bound from then on. Throws zmq::error_t.
  ZapHandler(zmq::context_t& context, std::function<bool(const std::string&)> is_known,
             std::function<void(const std::string& key, const std::string& address)> denied);
  /// Call it when `context` has been closed, or is being: that ends the thread.
  ~ZapHandler();
  ZapHandler(const ZapHandler&) = delete;
  ZapHandler& operator=(const ZapHandler&) = delete;

 private:
  void serve();
  void answer();

  const std::function<bool(const std::string&)> is_known_;
  const std::function<void(const std::string&, const std::string&)> denied_;
  zmq::socket_t socket_;
  std::thread thread_;
};

}  // namespace retouchd::intake
