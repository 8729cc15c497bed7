#include "base/http_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

namespace retouchd {
namespace {

constexpr long kReceiveBuffer = 512L << 10U;
constexpr long kSendBuffer = 2L << 20U;  // the most that libcurl takes
constexpr std::size_t kMostHeaders = 200;

/// Starts libcurl once in this process.
bool curl_is_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

/// Visible ASCII and spaces: nothing that could begin another header.
bool is_one_line(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

struct SlistFree {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistFree>;

/// What the callbacks of one call share.
struct Transfer {
  const HttpRequest& request;
  const HttpLimits& limits;
  const std::atomic<bool>* cancelled;
  HttpAnswer answer{};
  std::size_t part = 0;    ///< of the request's body, being sent
  std::size_t offset = 0;  ///< in that part
  bool too_large = false;
};

std::size_t body_size(const HttpRequest& request) {
  std::size_t sum = 0;
  for (const auto& part : request.body) sum += part.size();
  return sum;
}

std::size_t send_some(char* to, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t room = size * count;
  std::size_t sent = 0;
  while (sent < room && transfer.part < transfer.request.body.size()) {
    const auto part = transfer.request.body[transfer.part].subspan(transfer.offset);
    const std::size_t now = std::min(room - sent, part.size());
    if (now > 0) std::memcpy(to + sent, part.data(), now);
    sent += now;
    transfer.offset += now;
    if (now < part.size()) break;
    ++transfer.part;
    transfer.offset = 0;
  }
  return sent;
}

/// A kept connection may turn out to be closed: the body is then sent again on a new one.
int rewind(void* user, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  transfer.part = transfer.offset = 0;
  return CURL_SEEKFUNC_OK;
}

std::size_t take_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) transfer.answer.headers.clear();  // an interim answer came before
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return size * count;
  if (transfer.answer.headers.size() >= kMostHeaders) return 0;
  std::string name(trimmed(line.substr(0, colon)));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  transfer.answer.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  return size * count;
}

/// What the answer says of its body's size, as far as the limit goes; 0 when it says nothing.
std::size_t announced_size(const Transfer& transfer) {
  const std::string_view text = transfer.answer.header("content-length");
  std::uint64_t size = 0;
  std::from_chars(text.data(), text.data() + text.size(), size);
  return static_cast<std::size_t>(std::min(size, transfer.limits.answer.value));
}

std::size_t take_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::vector<std::uint8_t>& body = transfer.answer.body;
  const std::size_t bytes = size * count;
  if (bytes > transfer.limits.answer.value - body.size()) {
    transfer.too_large = true;
    return 0;
  }
  if (body.empty()) body.reserve(announced_size(transfer));
  body.insert(body.end(), data, data + bytes);
  return bytes;
}

int report_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& transfer = *static_cast<const Transfer*>(user);
  return transfer.cancelled != nullptr && transfer.cancelled->load() ? 1 : 0;
}

Result<Slist> headers_of(const HttpRequest& request) {
  Slist list;
  const auto append = [&list](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(list.release());
    list.reset(longer);
    return true;
  };
  bool ok = append("Expect:");  // else libcurl waits for a permission that many servers do not give
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || name.find_first_of(" :") != std::string::npos || !is_one_line(name) || !is_one_line(value))
      return make_error(ErrorCode::kInvalidRequest, "the header `" + name + "` cannot be sent to " + request.url);
    ok = ok && append(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!ok) return make_error(ErrorCode::kInternal, "no memory for the headers of a request to " + request.url);
  return list;
}

ErrorCode code_of(CURLcode code, const Transfer& transfer) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorCode::kTimeout;
    case CURLE_ABORTED_BY_CALLBACK:
      return ErrorCode::kCancelled;
    case CURLE_FILESIZE_EXCEEDED:
      return ErrorCode::kIoError;
    case CURLE_WRITE_ERROR:
      return transfer.too_large ? ErrorCode::kIoError : ErrorCode::kUnreachable;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
      return ErrorCode::kInvalidRequest;
    default:
      return ErrorCode::kUnreachable;
  }
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = nullptr;
  const std::atomic<bool>* cancelled = nullptr;
  std::array<char, CURL_ERROR_SIZE> reason{};

  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(curl); }

  void describe(Transfer& transfer, const curl_slist* headers);
};

void HttpClient::Handle::describe(Transfer& transfer, const curl_slist* headers) {
  const auto set = [this](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  curl_easy_reset(curl);  // connections stay open
  set(CURLOPT_URL, transfer.request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOPROXY, "*");
  set(CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  set(CURLOPT_QUICK_EXIT, 1L);  // a call that is cancelled does not wait for a name server
#endif
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_USERAGENT, "retouchd");
  set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
  set(CURLOPT_UPLOAD_BUFFERSIZE, kSendBuffer);
  set(CURLOPT_ERRORBUFFER, reason.data());
  set(CURLOPT_HTTPHEADER, headers);

  const HttpLimits& limits = transfer.limits;
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limits.connect.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(limits.total.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(limits.stall.count()));
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(limits.answer.value));  // by what the answer says of itself

  set(CURLOPT_HEADERFUNCTION, &take_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &report_progress);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
  if (transfer.request.method == HttpRequest::Method::kPost) {
    set(CURLOPT_POST, 1L);
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_size(transfer.request)));
    set(CURLOPT_READFUNCTION, &send_some);
    set(CURLOPT_READDATA, static_cast<void*>(&transfer));
    set(CURLOPT_SEEKFUNCTION, &rewind);
    set(CURLOPT_SEEKDATA, static_cast<void*>(&transfer));
  }
}

std::string_view HttpAnswer::header(std::string_view name) const noexcept {
  const auto found = std::find_if(headers.rbegin(), headers.rend(), [name](const auto& header) { return header.first == name; });
  return found == headers.rend() ? std::string_view() : std::string_view(found->second);
}

std::string_view HttpAnswer::text() const noexcept { return {reinterpret_cast<const char*>(body.data()), body.size()}; }

HttpClient::HttpClient(const std::atomic<bool>* cancelled) : handle_(std::make_unique<Handle>()) {
  handle_->cancelled = cancelled;
  if (curl_is_ready()) handle_->curl = curl_easy_init();
}

HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&& other) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&& other) noexcept = default;

Result<HttpAnswer> HttpClient::send(const HttpRequest& request, const HttpLimits& limits) {
  if (handle_->curl == nullptr) return make_error(ErrorCode::kInternal, "libcurl could not be started");
  if (!is_one_line(request.url)) return make_error(ErrorCode::kInvalidRequest, "a web address has characters that none can have");
  const auto headers = headers_of(request);
  if (!headers) return headers.error();
  Transfer transfer{request, limits, handle_->cancelled};
  handle_->reason.front() = '\0';
  handle_->describe(transfer, headers->get());
  const CURLcode code = curl_easy_perform(handle_->curl);
  if (code != CURLE_OK) {
    std::string reason = handle_->reason.front() != '\0' ? handle_->reason.data() : curl_easy_strerror(code);
    const ErrorCode error = code_of(code, transfer);
    if (error == ErrorCode::kIoError) reason = "the answer is larger than " + to_string(limits.answer);
    if (error == ErrorCode::kCancelled) reason = "cancelled";
    return make_error(error, request.url + ": " + reason);
  }
  long status = 0;
  curl_easy_getinfo(handle_->curl, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return std::move(transfer.answer);
}

}  // namespace retouchd
