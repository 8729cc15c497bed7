#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd::daemon {

struct HttpRequest {
  std::string method;  ///< "GET" also for HEAD; the server leaves the body of the answer out
  std::string path;    ///< without the query, as sent (percent signs included)
  std::string query;   ///< what follows '?', or empty
  std::string content_type;
  std::string body;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

/// {"error": {"code": ..., "message": ...}}, the shape of every refusal.
[[nodiscard]] HttpResponse http_error(unsigned status, std::string_view code, std::string_view message);

/// One line of the routing table. An exception from the handler is logged and answered with 500.
struct HttpRoute {
  std::string method;  ///< "GET" answers HEAD, too
  std::string path;    ///< matched exactly
  std::function<HttpResponse(const HttpRequest&)> handler;
  bool may_block = true;  ///< true: runs on the server's own two threads; false: on the io_context's
};

struct HttpServerOptions {
  std::string listen = "127.0.0.1:9464";  ///< loopback only: 127.x.x.x, [::1] or localhost; port 0: any free one
  std::size_t max_connections = 256;      ///< one more closes the connection that has been waiting for a request longest
  Bytes max_header = kibibytes(16);
  Bytes max_body = kibibytes(64);
  std::chrono::milliseconds timeout{
      10'000};  ///< for a whole request to arrive (also between requests), and for an answer to leave
};

/// A small HTTP/1.1 server for this machine: keep-alive, limits on everything a peer can send, no TLS.
///
/// Requests whose Host or Origin is not a loopback name are refused (403), so that a web page cannot reach it by DNS rebinding.
///
/// Threads: safe. Handlers may run at the same time and must be safe, too. The io_context must outlive the server; no thread may
/// run it while the server is destroyed.
class HttpServer {
 public:
  /// Binds and begins to accept; requests are answered as soon as `io_context` runs.
  /// kBadConfig names http.listen: malformed, not loopback, in use, no permission.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(boost::asio::io_context& io_context,
                                                                 const HttpServerOptions& options, std::vector<HttpRoute> routes);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  /// Closes the listening socket and every connection; no handler starts any more.
  void stop();

 private:
  class Listener;
  HttpServer() = default;

  boost::asio::thread_pool pool_{2};
  std::shared_ptr<Listener> listener_;
  std::uint16_t port_ = 0;
};

}  // namespace retouchd::daemon
