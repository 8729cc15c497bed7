#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace retouchd {

/// An HTTP server on a loopback port of its own that answers as a test says, also wrongly. Threads: safe; the handler is called
/// from several at once.
class FakeHttpServer {
 public:
  using Message = boost::beast::http::request<boost::beast::http::string_body>;
  struct Reply {
    unsigned status = 200;
    std::string body = {};
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::optional<std::uint64_t> claimed_length =
        {};              ///< Content-Length, where it is not the body's; the connection is closed then
    bool never = false;  ///< no answer as long as the server lives
  };
  using Handler = std::function<Reply(const Message&)>;

  explicit FakeHttpServer(Handler handler)
      : handler_(std::move(handler)), acceptor_(context_, {boost::asio::ip::address_v4::loopback(), 0}) {
    port_ = acceptor_.local_endpoint().port();
    accepting_ = std::thread([this] { accept(); });
  }
  ~FakeHttpServer() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      for (Socket* socket : open_) close(*socket);
    }
    changed_.notify_all();
    boost::system::error_code ignored;
    Socket last(context_);  // wakes accept()
    last.connect({boost::asio::ip::address_v4::loopback(), port_}, ignored);
    accepting_.join();
    for (std::thread& thread : serving_) thread.join();
  }
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] unsigned short port() const { return port_; }
  /// Connections so far.
  [[nodiscard]] std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return serving_.size();
  }

  /// A port that nobody listens on.
  [[nodiscard]] static unsigned short unused_port() {
    boost::asio::io_context context;
    const boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
    return acceptor.local_endpoint().port();
  }

 private:
  using Socket = boost::asio::ip::tcp::socket;

  static void close(Socket& socket) {
    boost::system::error_code ignored;
    socket.shutdown(Socket::shutdown_both, ignored);
  }

  void accept() {
    while (true) {
      Socket socket = acceptor_.accept();
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      serving_.emplace_back([this, own = std::move(socket)]() mutable { serve(own); });
    }
  }

  void serve(Socket& socket) {
    std::list<Socket*>::iterator place;
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      place = open_.insert(open_.end(), &socket);
    }
    while (answer_one(socket)) continue;
    close(socket);
    const std::lock_guard lock(mutex_);
    open_.erase(place);
  }

  /// False: the connection is to be closed.
  bool answer_one(Socket& socket) {
    namespace http = boost::beast::http;
    boost::system::error_code failed;
    boost::beast::flat_buffer buffer;
    http::request_parser<http::string_body> parser;
    parser.body_limit(std::uint64_t{1} << 30U);
    http::read(socket, buffer, parser, failed);
    if (failed) return false;
    const Reply reply = handler_(parser.get());
    if (reply.never) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_; });
      return false;
    }
    http::response<http::string_body> response(static_cast<http::status>(reply.status), 11, reply.body);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    response.content_length(reply.claimed_length.value_or(reply.body.size()));
    http::write(socket, response, failed);
    return !failed && !reply.claimed_length;
  }

  const Handler handler_;
  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  unsigned short port_ = 0;
  std::thread accepting_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stopped_ = false;
  std::list<Socket*> open_;
  std::vector<std::thread> serving_;
};

}  // namespace retouchd
