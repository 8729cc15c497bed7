#include "daemon/http_session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>

namespace retouchd::daemon {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::size_t kDrainLimit = 256 * 1024;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

/// "LocalHost:9464" -> "localhost"; "[::1]:80" -> "[::1]".
std::string host_of(std::string_view authority) {
  const auto end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
  std::string host(authority.substr(0, end));
  std::ranges::transform(host, host.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return host;
}

/// Why the request must not be served, or nothing.
std::optional<HttpResponse> refusal(const http::fields& fields, const HttpShared& shared) {
  if (fields.count(http::field::host) != 1) return http_error(400, "invalid_request", "Exactly one Host header is needed");
  if (!shared.hosts.contains(host_of(view(fields[http::field::host])))) {
    return http_error(403, "forbidden_host", "The Host header does not name this machine's loopback address");
  }
  const auto origin = view(fields[http::field::origin]);
  const auto scheme_end = origin.find("://");
  if (!origin.empty() &&
      (scheme_end == std::string_view::npos || !shared.hosts.contains(host_of(origin.substr(scheme_end + 3))))) {
    return http_error(403, "forbidden_origin", "Requests from web pages of other hosts are refused");
  }
  return std::nullopt;
}

/// The answer to a request that could not be read, or nothing when the connection itself failed.
std::optional<HttpResponse> answer_to(const beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return http_error(431, "header_too_large", "The request header is too large");
  }
  if (error == http::error::body_limit) return http_error(413, "body_too_large", "The request body is too large");
  const bool is_malformed = error.category() == http::make_error_code(http::error::bad_method).category();
  if (!is_malformed || error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  return http_error(400, "invalid_request", "Malformed HTTP request: " + error.message());
}

}  // namespace

HttpResponse HttpSession::run(const HttpRoute& route, const HttpRequest& request) {
  try {
    return route.handler(request);
  } catch (const std::exception& exception) {
    spdlog::error("HTTP {} {} failed: {}", route.method, route.path, exception.what());
    return http_error(500, "internal", "Internal error; see the log of retouchd");
  }
}

HttpSession::HttpSession(asio::ip::tcp::socket socket, std::shared_ptr<HttpShared> shared)
    : stream_(std::move(socket)), shared_(std::move(shared)) {
  const std::lock_guard lock(shared_->mutex);
  shared_->sessions.insert(this);
}

HttpSession::~HttpSession() {
  const std::lock_guard lock(shared_->mutex);
  shared_->sessions.erase(this);
}

void HttpSession::start() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->read(); });
}

void HttpSession::close() {
  waiting_since_ = Clock::time_point::max();
  asio::post(stream_.get_executor(), [self = shared_from_this()] { self->stream_.close(); });
}

void HttpSession::read() {
  if (shared_->stopped) return;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(shared_->options.max_header.value));
  parser_->body_limit(shared_->options.max_body.value);
  waiting_since_ = Clock::now();
  stream_.expires_after(shared_->options.timeout);
  http::async_read(stream_, buffer_, *parser_,
                   [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_read(error); });
}

void HttpSession::on_read(beast::error_code error) {
  if (error) {
    if (const auto response = answer_to(error)) answer(*response, /*keep_alive=*/false);
    return;  // otherwise nobody is there to read an answer; the last reference closes the socket
  }
  if (shared_->stopped) return;
  waiting_since_ = Clock::time_point::max();
  dispatch();
}

void HttpSession::dispatch() {
  const auto& message = parser_->get();
  const bool keep_alive = message.keep_alive();
  if (const auto refused = refusal(message, *shared_)) return answer(*refused, keep_alive);

  HttpRequest request;
  request.method = message.method() == http::verb::head ? "GET" : std::string(view(message.method_string()));
  const auto target = view(message.target());
  const auto question = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question);
  request.query = target.substr(std::min(question + 1, target.size()));
  request.content_type = std::string(view(message[http::field::content_type]));
  request.body = std::move(parser_->get().body());

  std::string allow;
  for (const auto& route : shared_->routes) {
    if (route.path != request.path) continue;
    if (route.method != request.method) {
      allow += (allow.empty() ? "" : ", ") + route.method + (route.method == "GET" ? ", HEAD" : "");
      continue;
    }
    if (!route.may_block) return answer(run(route, request), keep_alive);
    stream_.expires_never();
    asio::post(shared_->pool, [self = shared_from_this(), &route, request = std::move(request), keep_alive] {
      if (self->shared_->stopped) return;
      auto response = run(route, request);
      asio::post(self->stream_.get_executor(),
                 [self, response = std::move(response), keep_alive] { self->answer(response, keep_alive); });
    });
    return;
  }
  if (allow.empty()) return answer(http_error(404, "not_found", "No such page: " + request.path), keep_alive);
  answer(http_error(405, "method_not_allowed", request.path + " takes " + allow), keep_alive, allow);
}

void HttpSession::answer(const HttpResponse& response, bool keep_alive, std::string_view allow) {
  response_ = {};
  response_.version(11);
  response_.result(response.status);
  response_.set(http::field::server, "retouchd");
  response_.set(http::field::content_type, response.content_type);
  response_.set(http::field::cache_control, "no-store");
  response_.set("X-Content-Type-Options", "nosniff");
  if (!allow.empty()) response_.set(http::field::allow, std::string(allow));
  response_.content_length(response.body.size());
  response_.keep_alive(keep_alive);
  if (parser_->get().method() != http::verb::head) response_.body() = response.body;
  stream_.expires_after(shared_->options.timeout);
  http::async_write(stream_, response_, [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
    if (error) return;
    keep_alive ? self->read() : self->finish();
  });
}

void HttpSession::finish() {
  beast::error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  waiting_since_ = Clock::now();
  stream_.expires_after(shared_->options.timeout);
  drain();
}

void HttpSession::drain() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](beast::error_code error, std::size_t size) {
    self->drained_ += size;
    if (!error && self->drained_ < kDrainLimit) self->drain();
  });
}

}  // namespace retouchd::daemon
