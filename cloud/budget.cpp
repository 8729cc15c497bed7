#include "cloud/budget.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/file.h"

namespace retouchd::cloud {
namespace {

using nlohmann::json;

constexpr Bytes kLargestFile = kibibytes(4);

double as_double(Bytes bytes) { return static_cast<double>(bytes.value); }

/// The number under `key`, or nullopt.
std::optional<double> number_in(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

Budget::Budget(int escalations_per_hour, Bytes bytes_per_hour, std::filesystem::path file, UnixMillis now)
    : file_(std::move(file)), escalations_(escalations_per_hour, now), bytes_(as_double(bytes_per_hour), now) {
  if (!file_.empty()) load(now);
}

bool Budget::take(Bytes size, UnixMillis now) {
  if (!escalations_.has(1, now) || !bytes_.has(as_double(size), now)) return false;
  escalations_.take(1, now);
  bytes_.take(as_double(size), now);
  save(now);
  return true;
}

void Budget::charge(Bytes more, UnixMillis now) {
  if (more.value == 0) return;
  bytes_.take(as_double(more), now);
  save(now);
}

UnixMillis Budget::ready_at(Bytes size, UnixMillis now) const {
  return std::max(escalations_.ready_at(1, now), bytes_.ready_at(as_double(size), now));
}

std::optional<int> Budget::escalations_left(UnixMillis now) const {
  if (!escalations_.is_bounded()) return std::nullopt;
  return static_cast<int>(std::max(0.0, escalations_.level(now) + 1e-6));
}

std::optional<Bytes> Budget::bytes_left(UnixMillis now) const {
  if (!bytes_.is_bounded()) return std::nullopt;
  return Bytes{static_cast<std::uint64_t>(std::max(0.0, bytes_.level(now)))};
}

void Budget::set_bounds(int escalations_per_hour, Bytes bytes_per_hour, UnixMillis now) {
  escalations_.set_bound(escalations_per_hour, now);
  bytes_.set_bound(as_double(bytes_per_hour), now);
  save(now);
}

void Budget::load(UnixMillis now) {
  std::error_code failed;
  if (!std::filesystem::exists(file_, failed)) return;
  const auto text = read_file(file_, kLargestFile);
  const json read = text ? json::parse(text->begin(), text->end(), nullptr, false) : json();
  const auto at = read.is_object() ? number_in(read, "at_ms") : std::nullopt;
  const auto escalations = read.is_object() ? number_in(read, "escalations_left") : std::nullopt;
  const auto bytes = read.is_object() ? number_in(read, "bytes_left") : std::nullopt;
  const double latest = static_cast<double>(now.time_since_epoch().count());
  if (!at || !(*at >= 0) || !(*at <= latest + 1e15)) {
    spdlog::warn("{} cannot be read; the budget for escalations begins empty", file_.string());
    escalations_.restore(0, now, now);
    bytes_.restore(0, now, now);
    return;
  }
  const UnixMillis then{std::chrono::milliseconds(static_cast<std::int64_t>(*at))};
  // A bound that was not there before is not in the file: such a bucket begins full.
  if (escalations && escalations_.is_bounded()) escalations_.restore(*escalations, then, now);
  if (bytes && bytes_.is_bounded()) bytes_.restore(*bytes, then, now);
}

void Budget::save(UnixMillis now) const {
  if (file_.empty()) return;
  json content{{"at_ms", now.time_since_epoch().count()}};
  if (escalations_.is_bounded()) content["escalations_left"] = escalations_.level(now);
  if (bytes_.is_bounded()) content["bytes_left"] = bytes_.level(now);
  auto temporary = file_;
  temporary += ".new";
  std::FILE* file = std::fopen(temporary.c_str(), "we");
  const std::string text = content.dump() + "\n";
  bool is_written = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) is_written = std::fclose(file) == 0 && is_written;
  if (!is_written || std::rename(temporary.c_str(), file_.c_str()) != 0) {
    spdlog::warn("cannot write {}; after a restart the budget for escalations will be as it was", file_.string());
  }
}

}  // namespace retouchd::cloud
