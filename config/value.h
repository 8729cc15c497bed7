#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "config/environment.h"

namespace retouchd::config {

/// How one kind of value is written: reading, printing, and the words for what is allowed.
template <class T>
struct Value {
  /// The error's message says why, if `allowed` does not say it all; otherwise it is empty.
  std::function<Result<T>(std::string_view text, const Environment& environment)> parse;
  std::function<std::string(const T& value)> print;  ///< parse() reads it back
  std::string allowed;                               ///< follows "expected": "a whole number from 1 to 100"
};

/// A refusal for parse().
[[nodiscard]] Error refused(std::string why = {});

[[nodiscard]] Value<std::int64_t> whole_number(std::int64_t least, std::int64_t most, std::int64_t multiple = 1);
[[nodiscard]] Value<double> number(double least, double most);
[[nodiscard]] Value<bool> yes_or_no();
[[nodiscard]] Value<std::chrono::milliseconds> duration(std::chrono::milliseconds least, std::chrono::milliseconds most);
[[nodiscard]] Value<Bytes> size(Bytes least, Bytes most);
/// "0660" for 0660.
[[nodiscard]] Value<std::uint32_t> permissions();
/// One line of printable UTF-8, 1 to `longest` bytes.
[[nodiscard]] Value<std::string> text(std::size_t longest, std::string what);
/// A name in the registry of networks.
[[nodiscard]] Value<std::string> network_name();
/// "auto", or names of devices separated by commas: "cuda", "cuda:0,cuda:1", "simulated,simulated".
[[nodiscard]] Value<std::string> device_names();
/// Absolute, `~` expanded, without `..` and trailing slash.
[[nodiscard]] Value<std::filesystem::path> folder();
[[nodiscard]] Value<std::string> zmq_endpoint();
[[nodiscard]] Value<std::string> loopback_address();
/// "local", "hybrid" or "progressive".
[[nodiscard]] Value<std::string> policy_name();
/// tcp://host:port or http://host:port of a node in the cloud role or of a model server.
[[nodiscard]] Value<std::string> node_address();
/// Whether a node's address is that of a model server.
[[nodiscard]] bool is_model_server(std::string_view address);
/// tcp://<address>:port to listen on, whatever the address.
[[nodiscard]] Value<std::string> tcp_endpoint();
/// A public CURVE key: 40 characters of Z85.
[[nodiscard]] Value<std::string> curve_key();
/// http:// or https://.
[[nodiscard]] Value<std::string> web_address();
/// The kind of a job's stored event, such as "done".
[[nodiscard]] Value<std::string> event_kind();

template <class E>
[[nodiscard]] Value<E> choice(std::vector<std::pair<std::string, E>> names) {
  std::string allowed;
  for (const auto& [name, value] : names) {
    if (!allowed.empty()) allowed += &name == &names.back().first ? " or " : ", ";
    allowed += name;
  }
  return {[names](std::string_view text, const Environment&) -> Result<E> {
            for (const auto& [name, value] : names) {
              if (name == text) return value;
            }
            return refused();
          },
          [names](const E& wanted) {
            for (const auto& [name, value] : names) {
              if (value == wanted) return name;
            }
            return std::string();
          },
          allowed};
}

/// Also accepts `word`, which stands for `unset`.
template <class T>
[[nodiscard]] Value<T> or_word(const std::string& word, Value<T> value, T unset) {
  return {[parse = value.parse, word, unset](std::string_view text, const Environment& environment) -> Result<T> {
            if (text == word) return unset;
            return parse(text, environment);
          },
          [print = value.print, word, unset](const T& known) { return known == unset ? word : print(known); },
          word + " or " + value.allowed};
}

/// Also accepts `auto`, which leaves `unset` for later.
template <class T>
[[nodiscard]] Value<T> or_auto(Value<T> value, T unset) {
  return or_word<T>("auto", std::move(value), std::move(unset));
}

}  // namespace retouchd::config
