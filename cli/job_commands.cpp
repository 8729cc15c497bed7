#include "cli/job_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/explain_text.h"
#include "cli/job_text.h"
#include "cli/outcome.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;

int fail(Console& console, const Error& error) {
  console.complain(error);
  return traits_of(error.code).exit_code;
}

/// A command that does the same for each job: `print` gets the daemon's answer.
template <class Op, class Print>
int for_each_job(const Arguments& arguments, Connection& connection, Console& console, Op op, Print print) {
  Outcome outcome;
  for (const auto id : arguments.jobs) {
    op.job = id;
    auto reply = connection.call(op);
    if (reply) {
      print(reply->body);
      continue;
    }
    console.complain(reply.error());
    outcome.fail(reply.error().code);
    if (reply.error().code == ErrorCode::kUnreachable) break;
  }
  return outcome.exit_code();
}

int list(const Arguments& arguments, Connection& connection, Console& console) {
  wire::List page;
  page.state = arguments.state;
  int left = arguments.limit;
  if (!console.json()) console.line(list_heading());
  while (true) {
    page.limit = left > 0 ? std::min(left, wire::kMaxListed) : wire::kMaxListed;
    auto reply = connection.call(page);
    if (!reply) return fail(console, reply.error());
    for (const auto& job : reply->body.at("jobs")) {
      if (console.json())
        console.object(job);
      else
        console.line(list_row(job));
    }
    left -= page.limit;
    if (reply->body.at("next").is_null() || (arguments.limit > 0 && left <= 0)) return 0;
    page.after = reply->body.at("next").get<std::int64_t>();
  }
}

/// "26.1 M", "231 k"
std::string count_text(std::uint64_t count) {
  const auto number = static_cast<double>(count);
  return count >= 1'000'000 ? fmt::format("{:.1f} M", number / 1e6) : fmt::format("{:.0f} k", number / 1e3);
}

int models(Connection& connection, Console& console) {
  auto reply = connection.call(wire::Models{});
  if (!reply) return fail(console, reply.error());
  const std::string chosen = text_in(reply->body, "default");
  if (!console.json())
    console.line(fmt::format("{:<24} {:<13} {:<17} {:>9} {:<9} {:<10} {:<12} {}", "NAME", "FAMILY", "TASK", "NUMBERS",
                             "PRECISION", "STATE", "SHA256", "LICENCE"));
  for (auto model : reply->body.at("models")) {
    if (console.json()) {
      model["default"] = text_in(model, "name") == chosen;
      console.object(model);
    } else if (!model.contains("sha256")) {
      console.line(fmt::format("{:<24} refused: {}", text_in(model, "name"), text_in(model, "reason")));
    } else {
      console.line(fmt::format("{:<24} {:<13} {:<17} {:>9} {:<9} {:<10} {:<12} {}{}", text_in(model, "name"),
                               text_in(model, "architecture"), text_in(model, "task"),
                               count_text(model.value("parameters", std::uint64_t{0})), text_in(model, "precision"),
                               text_in(model, "state"), text_in(model, "sha256").substr(0, 12), text_in(model, "license"),
                               text_in(model, "name") == chosen ? "  (default)" : ""));
    }
  }
  return 0;
}

int ping(Connection& connection, Console& console) {
  const json& about = connection.about();
  if (console.json()) {
    json object = about;
    for (const char* field : {"id", "ok", "v"}) object.erase(field);
    console.object(object);
    return 0;
  }
  const json jobs = about.value("jobs", json::object());
  console.line(fmt::format("retouchd {} answers at {}: {} queued, {} running{}", text_in(about, "version"),
                           text_in(about, "connected_to"), jobs.value("queued", 0), jobs.value("running", 0),
                           about.value("draining", false) ? ", shutting down" : ""));
  return 0;
}

}  // namespace

int job_command(const Arguments& arguments, Connection& connection, Console& console) {
  const auto print_state = [&console](const json& body) {
    const json& job = body.at("job");
    if (console.json())
      console.object(job);
    else
      console.line(
          fmt::format("job {}: {}{}", job.at("id").get<std::int64_t>(), text_in(job, "state"),
                      job.value("cancel_requested", false) && text_in(job, "state") == "running" ? ", being cancelled" : ""));
  };
  const auto print_job = [&console](const json& body) {
    if (console.json())
      console.object(body.at("job"));
    else
      console.line(paragraph(body.at("job")));
  };
  const auto print_explanation = [&console](const json& body) {
    const json& job = body.at("job");
    if (console.json()) {
      console.object({{"job", job.at("id")}, {"policy", job.value("policy", "")}, {"decision", job.value("decision", json())}});
    } else {
      console.line(explanation(job));
    }
  };
  const auto print_events = [&console](const json& body) {
    for (const auto& event : body.at("events")) {
      if (console.json())
        console.object(event);
      else
        console.line(event_line(event));
    }
  };
  const auto& command = arguments.command;
  if (command == "status") return for_each_job(arguments, connection, console, wire::Status{}, print_job);
  if (command == "explain") return for_each_job(arguments, connection, console, wire::Status{}, print_explanation);
  if (command == "cancel") return for_each_job(arguments, connection, console, wire::Cancel{}, print_state);
  if (command == "retry") return for_each_job(arguments, connection, console, wire::Retry{}, print_state);
  if (command == "events") return for_each_job(arguments, connection, console, wire::Events{0, arguments.since}, print_events);
  if (command == "list") return list(arguments, connection, console);
  if (command == "models") return models(connection, console);
  return ping(connection, console);
}

}  // namespace retouchd::cli
