#include "cli/job_text.h"

#include <fmt/format.h>

#include <string_view>

namespace retouchd::cli {
namespace {

using nlohmann::json;

std::string error_in(const json& object) {
  const auto error = object.find("error");
  if (error == object.end() || !error->is_object()) return {};
  return text_in(*error, "message");
}

std::int64_t number_in(const json& object, const char* field) {
  const auto value = object.find(field);
  return value != object.end() && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

/// "infer 3/12", as far as it is known.
std::string progress_text(const json& progress) {
  std::string text = text_in(progress, "stage");
  const auto total = number_in(progress, "total");
  if (total > 0) text += fmt::format("{}{}/{}", text.empty() ? "" : " ", number_in(progress, "done"), total);
  return text;
}

void add_field(std::string& text, std::string_view name, const std::string& value) {
  if (!value.empty()) text += fmt::format("\n  {:<9} {}", name, value);
}

}  // namespace

std::string text_in(const json& object, const char* field) {
  const auto value = object.is_object() ? object.find(field) : object.end();
  return value != object.end() && value->is_string() ? value->get<std::string>() : std::string();
}

std::string list_heading() { return fmt::format("{:>8}  {:<10}  {:<24}  {}", "ID", "STATE", "ACCEPTED", "NAME"); }

std::string list_row(const json& job) {
  std::string row = fmt::format("{:>8}  {:<10}  {:<24}  {}", number_in(job, "id"), text_in(job, "state"),
                                text_in(job, "accepted_at"), text_in(job, "name"));
  if (const auto error = error_in(job); !error.empty()) row += "  (" + error + ")";
  return row;
}

std::string paragraph(const json& job) {
  std::string text = fmt::format("job {}: {}", number_in(job, "id"), text_in(job, "state"));
  if (job.value("cancel_requested", false) && text_in(job, "state") == "running") text += ", being cancelled";
  add_field(text, "source", text_in(job, "source"));
  add_field(text, "output", text_in(job, "output"));
  add_field(text, "preview", text_in(job, "preview"));
  add_field(text, "network", text_in(job, "network"));
  add_field(text, "accepted", text_in(job, "accepted_at"));
  add_field(text, "started", text_in(job, "started_at"));
  add_field(text, "finished", text_in(job, "finished_at"));
  if (const auto progress = job.find("progress"); progress != job.end()) add_field(text, "progress", progress_text(*progress));
  add_field(text, "error", error_in(job));
  if (const auto error = job.find("error"); error != job.end()) add_field(text, "remedy", text_in(*error, "remedy"));
  return text;
}

std::string end_line(const json& job) {
  const std::string output = text_in(job, "output");
  std::string line = fmt::format("{:<9}  {:>6}  {}", text_in(job, "state"), number_in(job, "id"), text_in(job, "source"));
  if (text_in(job, "state") == "done") line += " -> " + output;
  return line;
}

std::string event_line(const json& event) {
  const std::string kind = text_in(event, "kind");
  std::string what;
  if (kind == "accepted") what = text_in(event, "name");
  if (kind == "decided" || kind == "escalated") what = text_in(event, "route") + ": " + text_in(event, "reason");
  if (kind == "fell_back") what = text_in(event, "reason");
  if (kind == "returned") what = text_in(event, "node");
  if (kind == "preview" || kind == "level") what = text_in(event, "path");
  if (kind == "done") what = text_in(event, "output");
  if (kind == "progress") what = progress_text(event);
  if (kind == "failed" || kind == "retrying" || kind == "waiting") what = text_in(event, "message");
  // The date is known to whoever watches.
  const std::string at = text_in(event, "at");
  const std::string time = at.size() >= 19 ? at.substr(11, 8) : at;
  std::string line = fmt::format("{}  {:>6}  {:<9}", time, number_in(event, "job"), kind);
  if (!what.empty()) line += "  " + what;
  return line;
}

}  // namespace retouchd::cli
