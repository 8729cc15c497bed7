#include "cli/submit_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <utility>

#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/outcome.h"
#include "cli/submission.h"
#include "cli/tracker.h"

namespace retouchd::cli {
namespace {

using nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick{50};

std::string random_word() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

/// One picture gets the user's key itself, several the key and their name, so that each has its own.
std::vector<wire::Submit> make_submits(const Arguments& arguments, const Inputs& inputs,
                                       const std::vector<std::string>& outputs) {
  std::vector<wire::Submit> submits(inputs.pictures.size());
  const std::string base = arguments.key.empty() ? random_word() : arguments.key;
  for (std::size_t i = 0; i < submits.size(); ++i) {
    auto& submit = submits[i];
    submit.path = inputs.pictures[i].source.string();
    submit.output = outputs[i];
    submit.network = arguments.network;
    submit.key = arguments.key.empty() ? fmt::format("{}-{}", base, i) : base;
    if (!arguments.key.empty() && submits.size() > 1) {
      const std::string own = base + "/" + inputs.pictures[i].relative.string();
      submit.key = own.size() <= 255 ? own : fmt::format("{}-{:016x}", base, std::hash<std::string>{}(own));
    }
    submit.priority = arguments.priority;
    submit.deadline_seconds = arguments.deadline_s;
    submit.preview = arguments.preview;
    submit.preview_only = arguments.preview_only;
    submit.policy = arguments.policy;
    submit.skip_good = arguments.skip_good;
    submit.overwrite = arguments.overwrite;
  }
  return submits;
}

/// The command while it talks to the daemon.
class Session {
 public:
  Session(const Arguments& arguments, Connection& connection, Console& console, Outcome& outcome)
      : arguments_(arguments),
        connection_(connection),
        console_(console),
        outcome_(outcome),
        tracker_(connection, console, outcome, false) {}

  int run(std::vector<wire::Submit> submits);

 private:
  void accept(const wire::Submit& submit, const wire::Reply& reply);
  void hear(Submission& submission);
  int stop(const Error& error, const Submission& submission);

  const Arguments& arguments_;
  Connection& connection_;
  Console& console_;
  Outcome& outcome_;
  Tracker tracker_;
};

void Session::accept(const wire::Submit& submit, const wire::Reply& reply) {
  if (reply.error) {
    console_.complain(*reply.error, submit.path);
    outcome_.fail(reply.error->code);
    return;
  }
  const auto id = reply.body.at("job").get<std::int64_t>();
  const bool duplicate = reply.body.value("duplicate", false);
  const std::string output = reply.body.value("output", "");
  if (arguments_.wait) return tracker_.follow(id, submit.path, duplicate);
  if (console_.json())
    console_.object({{"job", id}, {"source", submit.path}, {"output", output}, {"duplicate", duplicate}});
  else
    console_.line(fmt::format("job {}: {} -> {}{}", id, submit.path, output, duplicate ? "  (known already)" : ""));
}

void Session::hear(Submission& submission) {
  auto incoming = connection_.client().next(kTick);
  // Whatever came with it is taken, too, before anything else is looked at.
  for (int i = 0; i < 1'000; ++i) {
    if (const auto* reply = std::get_if<wire::Reply>(&incoming)) {
      if (!submission.take(*reply)) tracker_.take(*reply);
    } else if (const auto* event = std::get_if<wire::Event>(&incoming)) {
      tracker_.take(*event);
    } else {
      return;
    }
    if (i + 1 < 1'000) incoming = connection_.client().next(std::chrono::milliseconds(0));
  }
}

int Session::stop(const Error& error, const Submission& submission) {
  console_.set_footer("");
  console_.complain(error);
  if (submission.is_done() && tracker_.pending() > 0) {
    console_.note(fmt::format("{} of the jobs go on in the daemon; `retouch list` shows them", tracker_.pending()));
  }
  return traits_of(error.code).exit_code;
}

int Session::run(std::vector<wire::Submit> submits) {
  tracker_.expect(submits.size());
  Submission submission(connection_.client(), std::move(submits), arguments_.wait,
                        [this](const wire::Submit& submit, const wire::Reply& reply) { accept(submit, reply); });
  const auto started = SteadyClock::now();
  while (!submission.is_done() || !tracker_.is_idle()) {
    const auto now = SteadyClock::now();
    if (is_interrupted()) {
      console_.set_footer("");
      console_.note("interrupted; what was submitted goes on in the daemon (`retouch list`, `retouch cancel ID`)");
      return kExitInterrupted;
    }
    if (arguments_.timeout_s && now - started > std::chrono::duration<double>(*arguments_.timeout_s)) {
      return stop(make_error(ErrorCode::kTimeout, fmt::format("not done within {} s", *arguments_.timeout_s)), submission);
    }
    if (auto sent = submission.tick(now); !sent) return stop(sent.error(), submission);
    tracker_.tick(now);
    if (tracker_.is_unanswered(now))
      return stop(make_error(ErrorCode::kUnreachable, "the daemon has stopped answering"), submission);
    hear(submission);
  }
  console_.set_footer("");
  return outcome_.exit_code();
}

}  // namespace

int submit_command(const Arguments& arguments, Console& console, const config::Environment& environment) {
  const auto fail = [&console](const Error& error) {
    console.complain(error);
    return traits_of(error.code).exit_code;
  };
  const auto current = std::filesystem::current_path();
  const Inputs inputs = find_inputs(arguments.files, current, arguments.output.empty());
  Outcome outcome;
  for (const auto& missing : inputs.missing) {
    console.complain(missing);
    outcome.fail(missing.code);
  }
  if (inputs.pictures.empty()) return outcome.exit_code();
  auto outputs = plan_outputs(inputs, arguments.output, current);
  if (!outputs) return fail(outputs.error());
  auto connection = Connection::open(arguments.connect, environment);
  if (!connection) return fail(connection.error());
  if (arguments.wait) {
    // Before the first submit, so that no event is missed.
    static const std::string kAllJobs = "job.";
    if (auto heard = connection->listen({&kAllJobs, 1}); !heard) return fail(heard.error());
  }
  return Session(arguments, *connection, console, outcome).run(make_submits(arguments, inputs, *outputs));
}

}  // namespace retouchd::cli
