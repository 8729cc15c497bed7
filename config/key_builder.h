#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/keys.h"
#include "config/value.h"

/// How the tables of keys are made. For keys.cpp and remote_keys.cpp only.
namespace retouchd::config {

enum class Change { kReload, kRestart };
inline constexpr auto kReload = Change::kReload;
inline constexpr auto kRestart = Change::kRestart;

template <class T>
struct IsDuration : std::false_type {};
template <class Rep, class Period>
struct IsDuration<std::chrono::duration<Rep, Period>> : std::true_type {};

// From what a Value reads to the type of the member; its range was checked by then.
template <class Member, class T>
Result<Member> fit(T value) {
  if constexpr (IsDuration<Member>::value) {
    const auto whole = std::chrono::duration_cast<Member>(value);
    if (whole != value) return refused("finer than this setting can be");
    return whole;
  } else {
    return static_cast<Member>(std::move(value));
  }
}

template <class T, class Member>
T widen(const Member& member) {
  return static_cast<T>(member);
}

// Field: a generic lambda from the owner, const or not, to the member.
template <class Owner, class T, class Field>
Key<Owner> make_key(std::string path, Change change, Field field, Value<T> value, std::string doc, std::string unset = {}) {
  Key<Owner> key;
  key.path = std::move(path);
  key.allowed = value.allowed;
  key.doc = std::move(doc);
  key.reloadable = change == kReload;
  key.unset = std::move(unset);
  key.set = [field, parse = value.parse](Owner& owner, const std::vector<std::string>& texts,
                                         const Environment& environment) -> std::optional<typename Key<Owner>::Refusal> {
    using Member = std::remove_reference_t<decltype(field(owner))>;
    auto parsed = parse(texts.at(0), environment);
    if (!parsed) return {{0, parsed.error().message}};
    auto fitted = fit<Member>(std::move(parsed).value());
    if (!fitted) return {{0, fitted.error().message}};
    field(owner) = std::move(fitted).value();
    return std::nullopt;
  };
  key.get = [field, print = value.print](const Owner& owner) { return std::vector{print(widen<T>(field(owner)))}; };
  return key;
}

template <class T, class Field>
Key<Config> make_list_key(std::string path, Change change, Field field, Value<T> value, std::size_t least, std::size_t most,
                          std::string doc, std::string unset = {}) {
  Key<Config> key;
  key.path = std::move(path);
  key.allowed = "a list, each entry " + value.allowed;
  key.doc = std::move(doc);
  key.reloadable = change == kReload;
  key.is_list = true;
  key.unset = std::move(unset);
  key.set = [=, parse = value.parse](Config& config, const std::vector<std::string>& texts,
                                     const Environment& environment) -> std::optional<Key<Config>::Refusal> {
    if (texts.size() < least || texts.size() > most) {
      return {{texts.size(), "from " + std::to_string(least) + " to " + std::to_string(most) + " entries are needed"}};
    }
    std::vector<T> values;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      auto parsed = parse(texts[i], environment);
      if (!parsed) return {{i, parsed.error().message}};
      values.push_back(std::move(parsed).value());
    }
    field(config) = std::move(values);
    return std::nullopt;
  };
  key.get = [field, print = value.print](const Config& config) {
    std::vector<std::string> texts;
    for (const auto& entry : field(config)) texts.push_back(print(entry));
    return texts;
  };
  return key;
}

template <class T, class Field>
Key<Config> top(std::string path, Change change, Field field, Value<T> value, std::string doc, std::string unset = {}) {
  return make_key<Config>(std::move(path), change, field, std::move(value), std::move(doc), std::move(unset));
}

template <class T, class Field>
Key<Watch> watched(std::string path, Field field, Value<T> value, std::string doc, std::string example, std::string unset = {}) {
  auto key = make_key<Watch>(std::move(path), kReload, field, std::move(value), std::move(doc), std::move(unset));
  key.example = std::move(example);
  return key;
}

inline Key<Watch> required(Key<Watch> key) {
  key.is_required = true;
  return key;
}

/// The keys about other machines and programs: cascade, cloud, serve, callbacks, hooks.
[[nodiscard]] std::vector<Key<Config>> make_remote_keys();

}  // namespace retouchd::config
