#include "daemon/http_server.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/http_session.h"

namespace retouchd::daemon {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Tcp = asio::ip::tcp;

Error listen_error(const std::string& listen, const std::string& reason) {
  return make_error(ErrorCode::kBadConfig, "http.listen: " + listen + ": " + reason);
}

Result<Tcp::endpoint> parse_listen(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return listen_error(listen, "not of the form address:port");
  auto host = listen.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);

  std::uint16_t port = 0;
  const auto* const end = listen.data() + listen.size();
  const auto parsed = std::from_chars(listen.data() + colon + 1, end, port);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return listen_error(listen, "the port is not a number from 0 to 65535");

  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return listen_error(listen, "not an IP address or localhost");
  if (!address.is_loopback())
    return listen_error(listen, "not a loopback address; there is no authentication, use a reverse proxy");
  return Tcp::endpoint(address, port);
}

std::string reason_of(const error_code& error) {
  return error == asio::error::address_in_use ? "the port is in use by another program" : error.message();
}

/// Asio leaves this out; a child process must not keep our port.
void close_on_exec(int fd) { ::fcntl(fd, F_SETFD, FD_CLOEXEC); }

}  // namespace

HttpResponse http_error(unsigned status, std::string_view code, std::string_view message) {
  const nlohmann::json body{{"error", {{"code", code}, {"message", message}}}};
  // A path may hold any bytes; those that are no UTF-8 are replaced.
  return {status, "application/json", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

class HttpServer::Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(asio::io_context& io_context, std::shared_ptr<HttpShared> shared)
      : io_context_(io_context),
        acceptor_(asio::make_strand(io_context)),
        retry_(acceptor_.get_executor()),
        shared_(std::move(shared)) {}

  error_code open(const Tcp::endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (error) return error;
    close_on_exec(acceptor_.native_handle());
    acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(Tcp::acceptor::max_listen_connections, error);
    return error;
  }

  [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void start() {
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] { self->accept(); });
  }

  void stop() {
    shared_->stopped = true;
    asio::post(acceptor_.get_executor(), [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->retry_.cancel();
    });
    for (const auto& session : sessions()) session->close();
  }

 private:
  void accept() {
    if (shared_->stopped) return;
    acceptor_.async_accept(asio::make_strand(io_context_),
                           [self = shared_from_this()](const error_code& error, Tcp::socket socket) {
                             if (error == asio::error::operation_aborted || self->shared_->stopped) return;
                             if (error) return self->accept_later(error);
                             self->take(std::move(socket));
                             self->accept();
                           });
  }

  /// Out of file descriptors or memory: the pending connection stays, so trying again at once would spin.
  void accept_later(const error_code& reason) {
    spdlog::warn("HTTP: cannot accept a connection: {}", reason.message());
    retry_.expires_after(std::chrono::milliseconds(200));
    retry_.async_wait([self = shared_from_this()](const error_code& error) {
      if (!error) self->accept();
    });
  }

  void take(Tcp::socket socket) {
    close_on_exec(socket.native_handle());
    error_code ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    if (!make_room()) return;  // everyone is being served; the new peer is closed
    std::make_shared<HttpSession>(std::move(socket), shared_)->start();
  }

  /// Peers that only hold connections open must not lock out a health check.
  bool make_room() {
    const auto all = sessions();
    if (all.size() < shared_->options.max_connections) return true;
    const auto longest = std::ranges::min_element(all, {}, [](const auto& session) { return session->waiting_since(); });
    if ((*longest)->waiting_since() == HttpSession::Clock::time_point::max()) return false;
    (*longest)->close();
    return true;
  }

  std::vector<std::shared_ptr<HttpSession>> sessions() {
    std::vector<std::shared_ptr<HttpSession>> alive;  // declared before the lock: dropping a last reference takes it, too
    const std::lock_guard lock(shared_->mutex);
    alive.reserve(shared_->sessions.size());
    for (auto* session : shared_->sessions) {
      if (auto held = session->weak_from_this().lock()) alive.push_back(std::move(held));
    }
    return alive;
  }

  asio::io_context& io_context_;
  Tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::shared_ptr<HttpShared> shared_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(asio::io_context& io_context, const HttpServerOptions& options,
                                                      std::vector<HttpRoute> routes) {
  const auto endpoint = parse_listen(options.listen);
  if (!endpoint) return endpoint.error();

  std::set<std::string, std::less<>> hosts{"localhost", "127.0.0.1", "[::1]"};
  const auto address = endpoint->address();
  hosts.insert(address.is_v6() ? "[" + address.to_string() + "]" : address.to_string());

  std::unique_ptr<HttpServer> server(new HttpServer);
  auto shared = std::shared_ptr<HttpShared>(new HttpShared{options, std::move(routes), std::move(hosts), server->pool_});
  server->listener_ = std::make_shared<Listener>(io_context, std::move(shared));
  if (const auto error = server->listener_->open(*endpoint)) return listen_error(options.listen, reason_of(error));
  server->port_ = server->listener_->port();
  server->listener_->start();
  return server;
}

HttpServer::~HttpServer() {
  if (listener_) stop();
  pool_.stop();
  pool_.join();
}

void HttpServer::stop() { listener_->stop(); }

}  // namespace retouchd::daemon
