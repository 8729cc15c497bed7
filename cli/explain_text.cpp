#include "cli/explain_text.h"

#include <fmt/format.h>

#include <string_view>

#include "cli/job_text.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;

/// What a route means, with the facts that belong to it.
std::string where(const json& decision) {
  const std::string route = text_in(decision, "route");
  const double megapixels = decision.value("level_megapixels", 0.0);
  if (route == "local") return "here, at full size";
  if (route == "preview") return "here: the preview is the result";
  if (route == "level") return fmt::format("here, at {:g} megapixels, enlarged", megapixels);
  if (route == "cloud") return "on the cloud node " + text_in(decision, "node");
  if (route == "server") return "on the model server " + text_in(decision, "node");
  if (route == "skip") return "nowhere: the file was passed on as it is";
  return route;
}

void add(std::string& text, std::string_view name, const std::string& value) {
  if (!value.empty()) text += fmt::format("\n  {:<11} {}", name, value);
}

void add_number(std::string& text, const json& parts, const char* field, std::string_view name, std::string_view format) {
  const auto number = parts.find(field);
  if (number == parts.end() || !number->is_number()) return;
  add(text, name, fmt::format(fmt::runtime(format), number->get<double>()));
}

}  // namespace

std::string explanation(const json& job) {
  std::string text = fmt::format("job {}: {}, {}", job.value("id", std::int64_t{0}), text_in(job, "name"), text_in(job, "state"));
  const auto found = job.find("decision");
  if (found == job.end() || !found->is_object()) {
    add(text, "policy", text_in(job, "policy"));
    add(text, "restored", "not decided yet");
    return text;
  }
  const json& decision = *found;
  add(text, "policy", text_in(decision, "policy"));
  add(text, "restored", where(decision));
  add(text, "because", text_in(decision, "reason"));
  add(text, "fallback", text_in(decision, "fallback"));
  if (decision.contains("score")) {
    std::string score = fmt::format("{:.3f}", decision.value("score", 0.0));
    if (decision.contains("threshold")) score += fmt::format(", escalated below {:g}", decision.value("threshold", 0.0));
    score += decision.value("calibrated", false) ? "" : " (not calibrated with your pictures: `retouch calibrate FOLDER`)";
    add(text, "score", score);
  }
  const json parts = decision.value("parts", json::object());
  add_number(text, parts, "mean_db", "detail", "{:.1f} dB: what is left of it in the enlarged preview");
  add_number(text, parts, "worst_db", "worst part", "{:.1f} dB: the same in the worst tenth of the picture");
  add_number(text, parts, "consistency_db", "agreement", "{:.1f} dB between the preview before and after restoration");
  add_number(text, parts, "noise_sigma", "noise", "{:.1f} of 255");
  add_number(text, parts, "gain", "gain", "{:.2f}: probability that restoration improves it visibly");
  if (const int times = decision.value("escalations", 0); times > 1) add(text, "escalated", fmt::format("{} times", times));
  return text;
}

}  // namespace retouchd::cli
