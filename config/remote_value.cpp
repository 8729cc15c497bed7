// Values that name other machines, and what goes to them.
#include <algorithm>
#include <charconv>

#include "config/value.h"

namespace retouchd::config {
namespace {

/// The part of `text` after `scheme`, when it begins with that.
std::optional<std::string_view> after(std::string_view scheme, std::string_view text) {
  if (!text.starts_with(scheme)) return std::nullopt;
  return text.substr(scheme.size());
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f && c != '@'; });
}

/// "host:port" with a port from 1 to 65535.
bool is_host_and_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !is_plain(text)) return false;
  if (text.substr(0, colon).find('/') != std::string_view::npos) return false;
  const std::string_view digits = text.substr(colon + 1);
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc{} && end == digits.data() + digits.size() && port >= 1 && port <= 65'535;
}

template <class Accepts>
Value<std::string> text_that(Accepts accepts, std::string allowed) {
  return {[accepts](std::string_view text, const Environment&) -> Result<std::string> {
            if (!accepts(text)) return refused();
            return std::string(text);
          },
          [](const std::string& text) { return text; }, std::move(allowed)};
}

}  // namespace

Value<std::string> policy_name() {
  return text_that([](std::string_view text) { return text == "local" || text == "hybrid" || text == "progressive"; },
                   "local, hybrid or progressive");
}

bool is_model_server(std::string_view address) {
  const auto http = after("http://", address);
  return http && is_host_and_port(*http);
}

Value<std::string> node_address() {
  return text_that(
      [](std::string_view text) {
        const auto tcp = after("tcp://", text);
        return is_model_server(text) || (tcp && is_host_and_port(*tcp));
      },
      "tcp://<host>:<port> or http://<host>:<port>");
}

Value<std::string> tcp_endpoint() {
  return text_that(
      [](std::string_view text) {
        const auto tcp = after("tcp://", text);
        return tcp && is_host_and_port(*tcp);
      },
      "tcp://<address>:<port>");
}

Value<std::string> curve_key() {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
  return text_that(
      [kDigits](std::string_view text) { return text.size() == 40 && text.find_first_not_of(kDigits) == std::string_view::npos; },
      "a public key of 40 characters, as `retouch keygen` prints it");
}

Value<std::string> web_address() {
  return text_that(
      [](std::string_view text) {
        const auto secure = after("https://", text);
        const auto rest = secure ? secure : after("http://", text);
        return rest && !rest->empty() && text.size() <= 2'000 && is_plain(text);
      },
      "an address that begins with http:// or https://, without user and password");
}

Value<std::string> event_kind() {
  return text_that(
      [](std::string_view text) {
        for (const char* kind : {"accepted", "started", "preview", "level", "decided", "escalated", "returned", "fell_back",
                                 "waiting", "retrying", "handed_back", "cancel_requested", "done", "failed", "cancelled"}) {
          if (text == kind) return true;
        }
        return false;
      },
      "a kind of event, such as preview, escalated, done or failed");
}

}  // namespace retouchd::config
