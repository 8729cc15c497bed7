#include "inference/simulation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr double kFullBatch = 16;

using Factor = std::pair<std::string_view, double>;
constexpr std::array<Factor, 3> kDurations{{{"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}}};
constexpr std::array<Factor, 3> kSizes{{{"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}}};
constexpr std::array<std::pair<std::string_view, Fault::Kind>, 5> kFaults{{{"oom", Fault::Kind::kOutOfMemory},
                                                                           {"lost", Fault::Kind::kLost},
                                                                           {"nan", Fault::Kind::kNotFinite},
                                                                           {"constant", Fault::Kind::kConstant},
                                                                           {"range", Fault::Kind::kRange}}};

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> between(double least, double most, std::string_view text) {
  const auto value = number_in<double>(text);
  return value && *value >= least && *value <= most ? value : std::nullopt;
}

/// A number with one of these units.
template <std::size_t N>
std::optional<double> quantity_in(std::string_view text, const std::array<Factor, N>& units) {
  for (const auto& [unit, factor] : units) {
    if (!text.ends_with(unit)) continue;
    if (const auto value = between(0, 1e9, text.substr(0, text.size() - unit.size()))) return *value * factor;
  }
  return std::nullopt;
}

std::optional<Fault> fault_in(std::string_view text) {
  const auto mark = text.find_first_of("@%");
  if (mark == std::string_view::npos) return std::nullopt;
  const auto kind =
      std::find_if(kFaults.begin(), kFaults.end(), [&](const auto& entry) { return entry.first == text.substr(0, mark); });
  if (kind == kFaults.end()) return std::nullopt;
  Fault fault;
  fault.kind = kind->second;
  const std::string_view rest = text.substr(mark + 1);
  if (text[mark] == '%') {
    const auto percent = between(0, 100, rest);
    if (!percent) return std::nullopt;
    fault.share = *percent / 100;
    return fault;
  }
  const auto plus = rest.find('+');
  const auto at = number_in<std::uint64_t>(rest.substr(0, plus));
  const auto count = plus == std::string_view::npos ? 1 : number_in<std::uint64_t>(rest.substr(plus + 1));
  if (!at || *at == 0 || !count || *count == 0) return std::nullopt;
  fault.at = *at;
  fault.count = *count;
  return fault;
}

/// Whether `word` was understood.
bool take(std::string_view word, Simulation& simulation) {
  const auto equals = word.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view key = word.substr(0, equals);
  const std::string_view text = word.substr(equals + 1);
  const auto set = [](auto value, auto& target) {
    if (value) target = std::decay_t<decltype(target)>(*value);
    return value.has_value();
  };
  if (key == "rate") return set(between(1e-3, 1e9, text), simulation.rate);
  if (key == "batch_gain") return set(between(1, kFullBatch, text), simulation.batch_gain);
  if (key == "batch_cost") {
    const auto cost = between(1, kFullBatch, text);
    if (cost) simulation.batch_gain = kFullBatch / *cost;
    return cost.has_value();
  }
  if (key == "copy") return set(quantity_in(text, kDurations), simulation.copy);
  if (key == "memory") {
    const auto bytes = quantity_in(text, kSizes);
    if (bytes) simulation.memory = Bytes{static_cast<std::uint64_t>(*bytes)};
    return bytes.has_value();
  }
  if (key == "bytes_per_pixel") return set(between(0, 1e9, text), simulation.bytes_per_pixel);
  if (key == "seed") return set(number_in<std::uint64_t>(text), simulation.seed);
  if (key == "fault") {
    const auto fault = fault_in(text);
    if (fault) simulation.faults.push_back(*fault);
    return fault.has_value();
  }
  return false;
}

}  // namespace

Simulation::Seconds Simulation::computing(double units) const noexcept {
  const double full = kFullBatch / rate;
  const double single = batch_gain / rate;
  const double each = (full - single) / (kFullBatch - 1);
  return Seconds(single - each + each * units);
}

Result<Simulation> parse_simulation(std::string_view text) {
  Simulation simulation;
  while (true) {
    const auto begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) return simulation;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    if (!take(word, simulation))
      return make_error(ErrorCode::kBadConfig,
                        "simulation: `" + std::string(word) +
                            "` makes no sense; known are rate=500, batch_gain=4 (1 to 16), batch_cost=4, "
                            "copy=0.2ms, memory=8GiB, bytes_per_pixel=1000, seed=1 and "
                            "fault=oom@3 (oom, lost, nan, constant, range; @3+2: two from 3 on; %1: 1 percent)");
  }
}

}  // namespace retouchd::inference
