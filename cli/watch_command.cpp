#include "cli/watch_command.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "cli/job_text.h"
#include "cli/outcome.h"
#include "cli/tracker.h"

namespace retouchd::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{50};

void show(const wire::Event& event, Console& console) {
  if (console.json())
    console.object(event.body);
  else
    console.line(event_line(event.body));
}

}  // namespace

int watch_command(const Arguments& arguments, Connection& connection, Console& console) {
  std::vector<std::string> prefixes;
  for (const auto id : arguments.jobs) prefixes.push_back(fmt::format("job.{}.", id));
  if (prefixes.empty()) prefixes.emplace_back("job.");
  if (auto heard = connection.listen(prefixes); !heard) {
    console.complain(heard.error());
    return traits_of(heard.error().code).exit_code;
  }
  Outcome outcome;
  Tracker tracker(connection, console, outcome, /*announce=*/true);
  tracker.expect(arguments.jobs.size());
  for (const auto id : arguments.jobs) tracker.follow(id, fmt::format("job {}", id), /*asked=*/true);
  const auto stop = [&console](const Error& error) {
    console.set_footer("");
    console.complain(error);
    return traits_of(error.code).exit_code;
  };
  const auto started = SteadyClock::now();
  while (arguments.jobs.empty() || !tracker.is_idle()) {
    const auto now = SteadyClock::now();
    if (is_interrupted()) {
      console.set_footer("");
      return kExitInterrupted;
    }
    if (arguments.timeout_s && now - started > std::chrono::duration<double>(*arguments.timeout_s)) {
      return stop(make_error(ErrorCode::kTimeout, fmt::format("not done within {} s", *arguments.timeout_s)));
    }
    if (tracker.is_unanswered(now)) return stop(make_error(ErrorCode::kUnreachable, "the daemon has stopped answering"));
    tracker.tick(now);
    const auto incoming = connection.client().next(kTick);
    if (const auto* reply = std::get_if<wire::Reply>(&incoming)) tracker.take(*reply);
    if (const auto* event = std::get_if<wire::Event>(&incoming))
      arguments.jobs.empty() ? show(*event, console) : tracker.take(*event);
  }
  console.set_footer("");
  return outcome.exit_code();
}

}  // namespace retouchd::cli
