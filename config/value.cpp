#include "config/value.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "config/endpoint.h"
#include "config/quantity.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
  T value{};
  std::from_chars_result result{};
  if constexpr (std::is_floating_point_v<T>) {
    result = std::from_chars(text.data(), text.data() + text.size(), value);
  } else {
    result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  }
  if (result.ec != std::errc{} || result.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

bool has_control_characters(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string print_text(const std::string& text) { return text; }

}  // namespace

Error refused(std::string why) { return make_error(ErrorCode::kBadConfig, std::move(why)); }

Value<std::int64_t> whole_number(std::int64_t least, std::int64_t most, std::int64_t multiple) {
  return {[=](std::string_view text, const Environment&) -> Result<std::int64_t> {
            const auto value = parse_number<std::int64_t>(text);
            if (!value || *value < least || *value > most || *value % multiple != 0) return refused();
            return *value;
          },
          [](const std::int64_t& value) { return fmt::format("{}", value); },
          multiple == 1 ? fmt::format("a whole number from {} to {}", least, most)
                        : fmt::format("a multiple of {} from {} to {}", multiple, least, most)};
}

Value<double> number(double least, double most) {
  return {[=](std::string_view text, const Environment&) -> Result<double> {
            const auto value = parse_number<double>(text);
            if (!value || !(*value >= least && *value <= most)) return refused();  // "nan" compares false
            return *value;
          },
          [](const double& value) { return fmt::format("{}", value); }, fmt::format("a number from {:g} to {:g}", least, most)};
}

Value<bool> yes_or_no() { return choice<bool>({{"true", true}, {"false", false}}); }

Value<std::chrono::milliseconds> duration(std::chrono::milliseconds least, std::chrono::milliseconds most) {
  return {[=](std::string_view text, const Environment&) -> Result<std::chrono::milliseconds> {
            const auto value = parse_duration(text);
            if (!value) return refused("write a whole number and one of the units ms, s, m, h, d");
            if (*value < least || *value > most) return refused();
            return *value;
          },
          [](const std::chrono::milliseconds& value) { return to_text(value); },
          fmt::format("a duration from {} to {}", to_text(least), to_text(most))};
}

Value<Bytes> size(Bytes least, Bytes most) {
  return {[=](std::string_view text, const Environment&) -> Result<Bytes> {
            const auto value = parse_size(text);
            if (!value) return refused("write a whole number and one of the units KiB, MiB, GiB, TiB, or plain bytes");
            if (*value < least || *value > most) return refused();
            return *value;
          },
          [](const Bytes& value) { return to_text(value); }, fmt::format("a size from {} to {}", to_text(least), to_text(most))};
}

Value<std::uint32_t> permissions() {
  return {[](std::string_view text, const Environment&) -> Result<std::uint32_t> {
            const auto value = parse_number<std::uint32_t>(text, 8);
            if (text.size() != 4 || text[0] != '0' || !value) return refused("write four octal digits");
            if ((*value & 0600U) != 0600U || (*value & 0111U) != 0)
              return refused("the owner needs read and write, and a socket is not executed");
            return *value;
          },
          [](const std::uint32_t& value) { return fmt::format("{:04o}", value); }, "permissions such as 0600, 0660 or 0666"};
}

Value<std::string> text(std::size_t longest, std::string what) {
  return {[longest](std::string_view text, const Environment&) -> Result<std::string> {
            if (text.empty() || text.size() > longest || has_control_characters(text)) return refused();
            return std::string(text);
          },
          print_text, fmt::format("{} of 1 to {} characters", what, longest)};
}

Value<std::string> network_name() {
  return {[](std::string_view text, const Environment&) -> Result<std::string> {
            const auto allowed = [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                     c == '.';
            };
            if (text.empty() || text.size() > 64 || !std::all_of(text.begin(), text.end(), allowed)) return refused();
            return std::string(text);
          },
          print_text, "a name listed by `retouch models` (letters, digits, - _ .)"};
}

Value<std::string> device_names() {
  const auto is_device = [](std::string_view name) {
    if (name == "cpu" || name == "cuda" || name == "mps" || name == "simulated" || is_model_server(name)) return true;
    return name.starts_with("cuda:") && parse_number<int>(name.substr(5), 10).has_value();
  };
  return {[is_device](std::string_view names, const Environment&) -> Result<std::string> {
            if (names == "auto") return std::string(names);
            for (std::size_t begin = 0; begin <= names.size();) {
              const std::size_t end = std::min(names.find(',', begin), names.size());
              if (!is_device(names.substr(begin, end - begin))) return refused();
              begin = end + 1;
            }
            return std::string(names);
          },
          print_text, "auto, cpu, cuda, cuda:<number>, mps, simulated or http://<host>:<port>, or several with commas between"};
}

Value<fs::path> folder() {
  return {[](std::string_view text, const Environment& environment) -> Result<fs::path> {
            if (has_control_characters(text)) return refused("control characters are not allowed");
            fs::path path(text);
            if (text == "~" || text.starts_with("~/")) {
              if (environment.home.empty()) return refused("~ is unknown because HOME is not set");
              path = environment.home / fs::path(text.substr(std::min<std::size_t>(text.size(), 2)));
            } else if (text.starts_with('~')) {
              return refused("only your own home folder can be written with ~, as ~/...");
            }
            if (!path.is_absolute()) return refused("relative paths would depend on where retouchd is started");
            path = path.lexically_normal();
            return path.has_filename() ? path : path.has_relative_path() ? path.parent_path() : path;
          },
          [](const fs::path& path) { return path.string(); }, "an absolute path, or one that begins with ~/"};
}

Value<std::string> zmq_endpoint() {
  return {[](std::string_view text, const Environment&) -> Result<std::string> {
            if (has_control_characters(text)) return refused();
            if (auto valid = check_endpoint(text); !valid) return valid.error();
            return std::string(text);
          },
          print_text, "ipc:///absolute/path, tcp://127.0.0.1:<port> or tcp://[::1]:<port>"};
}

Value<std::string> loopback_address() {
  return {[](std::string_view text, const Environment&) -> Result<std::string> {
            if (auto valid = parse_loopback(text); !valid) return valid.error();
            return std::string(text);
          },
          print_text, "127.0.0.1:<port> or [::1]:<port>"};
}

}  // namespace retouchd::config
