#include "queue/decision.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace retouchd::queue {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<Route, std::string_view>, 6> kRoutes{{{Route::kLocal, "local"},
                                                                     {Route::kPreview, "preview"},
                                                                     {Route::kLevel, "level"},
                                                                     {Route::kCloud, "cloud"},
                                                                     {Route::kServer, "server"},
                                                                     {Route::kSkip, "skip"}}};

template <class T>
void put(json& object, const char* key, const std::optional<T>& value) {
  if (value) object[key] = *value;
}

template <class T>
void take(const json& object, const char* key, std::optional<T>& value) {
  if (const auto found = object.find(key); found != object.end()) value = found->get<T>();
}

}  // namespace

std::string_view name_of(Route route) noexcept {
  for (const auto& [known, name] : kRoutes) {
    if (known == route) return name;
  }
  return {};
}

std::optional<Route> route_from_name(std::string_view name) noexcept {
  for (const auto& [route, known] : kRoutes) {
    if (known == name) return route;
  }
  return std::nullopt;
}

void fall_back(Decision& decision, Route route, std::string_view code, const std::string& why) {
  decision.route = route;
  decision.fallback = route == Route::kLevel ? "local_preview" : "local_full";
  decision.code = code;
  decision.reason += (decision.reason.empty() ? "" : ", but ") + why;
}

std::string to_text(const Decision& decision) {
  json object{
      {"policy", decision.policy}, {"route", name_of(decision.route)}, {"code", decision.code}, {"reason", decision.reason}};
  put(object, "score", decision.score);
  put(object, "threshold", decision.threshold);
  if (decision.score) object["calibrated"] = decision.is_calibrated;
  if (decision.parts) {
    json& parts = object["parts"];
    parts = {{"mean_db", decision.parts->mean_db},
             {"worst_db", decision.parts->worst_db},
             {"noise_sigma", decision.parts->noise_sigma},
             {"laplacian", decision.parts->laplacian}};
    put(parts, "consistency_db", decision.parts->consistency_db);
    put(parts, "gain", decision.parts->gain);
  }
  if (decision.level_megapixels > 0) object["level_megapixels"] = decision.level_megapixels;
  if (!decision.node.empty()) object["node"] = decision.node;
  if (!decision.fallback.empty()) object["fallback"] = decision.fallback;
  if (decision.escalations > 0) object["escalations"] = decision.escalations;
  put(object, "local_seconds", decision.local_seconds);
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Decision> decision_from_text(std::string_view text) {
  try {
    const json object = json::parse(text);
    Decision decision;
    decision.policy = object.at("policy").get<std::string>();
    const auto route = route_from_name(object.at("route").get<std::string>());
    if (!route) return make_error(ErrorCode::kStoreFailed, "a stored decision names an unknown route");
    decision.route = *route;
    decision.code = object.value("code", "");
    decision.reason = object.value("reason", "");
    take(object, "score", decision.score);
    take(object, "threshold", decision.threshold);
    decision.is_calibrated = object.value("calibrated", false);
    if (const auto parts = object.find("parts"); parts != object.end()) {
      ScoreParts& into = decision.parts.emplace();
      into.mean_db = parts->at("mean_db").get<double>();
      into.worst_db = parts->at("worst_db").get<double>();
      into.noise_sigma = parts->at("noise_sigma").get<double>();
      into.laplacian = parts->at("laplacian").get<double>();
      take(*parts, "consistency_db", into.consistency_db);
      take(*parts, "gain", into.gain);
    }
    decision.level_megapixels = object.value("level_megapixels", 0.0);
    decision.node = object.value("node", "");
    decision.fallback = object.value("fallback", "");
    decision.escalations = object.value("escalations", 0);
    take(object, "local_seconds", decision.local_seconds);
    return decision;
  } catch (const json::exception& error) {
    return make_error(ErrorCode::kStoreFailed, std::string("a stored decision cannot be read: ") + error.what());
  }
}

}  // namespace retouchd::queue
