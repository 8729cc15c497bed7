#pragma once

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/http_server.h"

namespace retouchd::daemon {

/// A server on any free port, with a thread that runs it.
class LoopbackServer {
 public:
  explicit LoopbackServer(std::vector<HttpRoute> routes, HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto started = HttpServer::start(io_context_, options, std::move(routes));
    if (!started) throw std::runtime_error(started.error().message);
    server_ = std::move(*started);
    thread_ = std::thread([this] { io_context_.run(); });
  }
  ~LoopbackServer() {
    io_context_.stop();
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return server_->port(); }
  void stop() { server_->stop(); }

 private:
  boost::asio::io_context io_context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_context_.get_executor()};
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

/// A client that sends exactly the bytes it is told to.
class LoopbackClient {
 public:
  using Response = boost::beast::http::response<boost::beast::http::string_body>;

  explicit LoopbackClient(std::uint16_t port) { socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port}); }

  void send(std::string_view bytes) {
    boost::system::error_code ignored;  // a server that gave up already is seen when reading
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }

  /// The next response; its body is left out for the answer to a HEAD.
  Response receive(bool head = false) {
    boost::beast::http::response_parser<boost::beast::http::string_body> parser;
    parser.body_limit(boost::none);
    parser.skip(head);
    boost::beast::http::read(socket_, buffer_, parser);
    return parser.release();
  }

  Response get(const std::string& path) {
    send("GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    return receive();
  }

  /// Waits until the server closed; true when it sent nothing more before.
  bool is_closed() {
    char byte = 0;
    boost::system::error_code error;
    const bool nothing = buffer_.size() == 0 && boost::asio::read(socket_, boost::asio::buffer(&byte, 1), error) == 0;
    return nothing && (error == boost::asio::error::eof || error == boost::asio::error::connection_reset);
  }

 private:
  boost::asio::io_context io_context_;
  boost::asio::ip::tcp::socket socket_{io_context_};
  boost::beast::flat_buffer buffer_;
};

}  // namespace retouchd::daemon
