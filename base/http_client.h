#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd {

/// What is asked of an HTTP server.
struct HttpRequest {
  enum class Method { kGet, kPost };

  Method method = Method::kGet;
  std::string url = {};  ///< http:// or https://
  std::vector<std::pair<std::string, std::string>> headers = {};
  /// Of a POST: sent one after the other as one body of known length. What they point to must outlive the call.
  std::vector<std::span<const std::uint8_t>> body = {};
};

/// How long a call may take and how much it may bring back.
struct HttpLimits {
  std::chrono::milliseconds connect{5'000};
  std::chrono::milliseconds total{60'000};
  std::chrono::seconds stall{30};  ///< without a byte in either direction, the server's thinking included
  Bytes answer = mebibytes(1);     ///< of the body
};

/// What a server answered, whatever its status.
struct HttpAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::vector<std::uint8_t> body = {};

  [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
  /// The last header of that name (lower case), or an empty text.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view text() const noexcept;  ///< the body
};

/// Asks HTTP servers and keeps connections open between calls. Follows no redirects, sends no credentials or cookies, checks
/// certificates, and goes straight to the server (the environment's proxies are not used).
/// Threads: confined to one.
class HttpClient {
 public:
  /// `cancelled`, if any, ends a call within about a second once it is true; it must outlive the client.
  explicit HttpClient(const std::atomic<bool>* cancelled = nullptr);
  ~HttpClient();
  HttpClient(HttpClient&& other) noexcept;
  HttpClient& operator=(HttpClient&& other) noexcept;

  /// kTimeout when a limit of time passed, kUnreachable when the server could not be reached or broke the connection off,
  /// kIoError for an answer above the limit, kCancelled, kInvalidRequest for a malformed URL or header. Messages name the URL.
  [[nodiscard]] Result<HttpAnswer> send(const HttpRequest& request, const HttpLimits& limits = {});

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

}  // namespace retouchd
