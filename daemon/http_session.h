#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/http_server.h"

namespace retouchd::daemon {

class HttpSession;

/// What the connections of one server share. The set is how the listener counts them and finds one to give up.
struct HttpShared {
  HttpServerOptions options;
  std::vector<HttpRoute> routes;
  std::set<std::string, std::less<>> hosts;  ///< that a request may name, lower case, without port
  boost::asio::thread_pool& pool;
  std::atomic<bool> stopped{false};
  std::mutex mutex{};
  std::set<HttpSession*> sessions{};  ///< guarded by mutex
};

/// One connection: reads a request, answers it, reads the next. Lives as long as an operation on it is pending.
///
/// Threads: everything runs on the socket's strand, except waiting_since() and close(), which are safe.
class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Clock = std::chrono::steady_clock;

  HttpSession(boost::asio::ip::tcp::socket socket, std::shared_ptr<HttpShared> shared);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  void start();
  void close();

  /// Since when the peer owes us something; Clock::time_point::max() while a request is being answered.
  [[nodiscard]] Clock::time_point waiting_since() const noexcept { return waiting_since_.load(std::memory_order_relaxed); }

 private:
  void read();
  void on_read(boost::beast::error_code error);
  void dispatch();
  /// Runs on the strand or on the pool.
  [[nodiscard]] static HttpResponse run(const HttpRoute& route, const HttpRequest& request);
  void answer(const HttpResponse& response, bool keep_alive, std::string_view allow = {});
  /// Waits until the peer closed, too: closing on unread bytes would reset the connection before the answer was read.
  void finish();
  void drain();

  boost::beast::tcp_stream stream_;
  std::shared_ptr<HttpShared> shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  boost::beast::http::response<boost::beast::http::string_body> response_;
  std::atomic<Clock::time_point> waiting_since_{Clock::now()};
  std::size_t drained_ = 0;
};

}  // namespace retouchd::daemon
