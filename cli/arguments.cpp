#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <sstream>

#include "cli/outcome.h"

namespace retouchd::cli {
namespace {

void add_pictures(CLI::App& command, Arguments& arguments) {
  command.add_option("files", arguments.files, "Files, folders, or patterns such as 'photos/*.jpg'")->required();
  command.add_option("--network", arguments.network, "Network to use instead of the daemon's default");
}

void add_submit(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("submit", "Hand pictures to the daemon");
  add_pictures(*command, arguments);
  command->add_option(
      "-o,--output", arguments.output,
      "Result file, or folder (ends in /, exists, or several pictures); default: NAME_restored beside the picture");
  command->add_flag("--wait", arguments.wait, "Wait until every picture is done");
  command->add_flag("--overwrite", arguments.overwrite, "Replace a file that retouchd did not write");
  command->add_flag("!--no-preview", arguments.preview, "Skip the preview");
  command->add_flag("--preview-only", arguments.preview_only, "Make the preview the result");
  command->add_option("--policy", arguments.policy, "Who makes the full pass, instead of the daemon's cascade.policy")
      ->check(CLI::IsMember({"local", "hybrid", "progressive"}));
  command->add_flag("--skip-good,!--no-skip-good", arguments.skip_good,
                    "Whether a picture that restoration would hardly improve is passed on as it is");
  command->add_option("--priority", arguments.priority, "Higher goes first")->check(CLI::Range(-1000, 1000));
  const std::map<std::string, double> units{{"s", 1}, {"m", 60}, {"h", 3'600}, {"d", 86'400}};
  command
      ->add_option("--deadline", arguments.deadline_s,
                   "Give a picture up that is not done so long after it was submitted, such as 90s, 10m or 2h")
      ->type_name("TIME")
      ->check(CLI::Range(0.001, 10 * 365 * 86'400.0, "more than 0 to 3650d"))
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::Options::CASE_SENSITIVE, "TIME"));
  command->add_option("--key", arguments.key, "Idempotency key: the same key again gives the same job")
      ->check([](const std::string& key) {
        return key.empty() || key.size() > 200 ? std::string("a key has 1 to 200 bytes") : std::string();
      });
  command->add_option("--timeout", arguments.timeout_s, "With --wait: give up waiting after so many seconds")
      ->check(CLI::PositiveNumber);
}

void add_run(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("run", "Restore pictures right here, without a daemon");
  add_pictures(*command, arguments);
  command->add_option("-o,--output", arguments.output, "Result file or folder")->required();
}

/// Commands whose options only `retouchd` knows: everything that follows goes there, --help too.
void add_passed_on(CLI::App& app, const std::string& name, const std::string& description) {
  auto* command = app.add_subcommand(name, description);
  command->set_help_flag();
  command->fallthrough(false);
  command->prefix_command();
}

void add_top(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("top", "Show how busy the daemon is, until interrupted");
  command->add_flag("--once", arguments.once, "Show it one time, as without a terminal");
  const std::map<std::string, double> units{{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3'600}};
  command->add_option("--interval", arguments.interval_s, "Time between two looks, such as 1s or 500ms (default: 1s)")
      ->type_name("TIME")
      ->check(CLI::Range(0.1, 3600.0, "0.1s to 1h"))
      ->transform(CLI::AsNumberWithUnit(units, CLI::AsNumberWithUnit::Options::CASE_SENSITIVE, "TIME"));
}

CLI::App* add_jobs(CLI::App& app, Arguments& arguments, const std::string& name, const std::string& description, bool required) {
  auto* command = app.add_subcommand(name, description);
  command->add_option("ids", arguments.jobs, "Job ids")->required(required)->check(CLI::PositiveNumber);
  return command;
}

void add_convert(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("convert", "Turn PyTorch weights (.pth) into safetensors");
  command->add_option("source", arguments.source, "Weight file: .pth, .pt, .ckpt or .safetensors")->required();
  command->add_option("output", arguments.output, "File to write, *.safetensors")->required()->check([](const std::string& file) {
    return file.ends_with(".safetensors") ? std::string() : file + " must end in .safetensors";
  });
  command->add_option("--dtype", arguments.dtype, "Number type of the new file")
      ->check(CLI::IsMember({"keep", "f16", "bf16", "f32"}))
      ->capture_default_str();
  command->add_option("--task", arguments.task, "What the weights are for, such as denoise or deblur");
  command->add_option("--license", arguments.license, "Licence of the weights, such as MIT");
  command->add_flag("--overwrite", arguments.overwrite, "Replace the output if it exists");
}

void add_keygen(CLI::App& app, Arguments& arguments) {
  auto* command = app.add_subcommand("keygen", "Make the keys with which daemons trust each other");
  command->add_option("-o,--output", arguments.output, "Key file to write; default: the one that the daemon here reads");
  command->add_flag("--node", arguments.node, "Keys of a node (serve.key), not of a daemon that sends to one (cloud.key)");
  command->add_flag("--force", arguments.force,
                    "Replace the file if it exists; nobody who knows the old key finds this machine then");
}

void add_commands(CLI::App& app, Arguments& arguments) {
  add_submit(app, arguments);
  add_jobs(app, arguments, "status", "Show jobs", true);
  auto* list = app.add_subcommand("list", "List jobs, newest first");
  list->add_option("--state", arguments.state, "Only jobs in this state")
      ->check(CLI::IsMember({"queued", "running", "publishing", "escalated", "done", "failed", "cancelled"}));
  list->add_option("--limit", arguments.limit, "At most so many; 0: all")->check(CLI::NonNegativeNumber)->capture_default_str();
  auto* watch =
      add_jobs(app, arguments, "watch", "Show what happens, until the given jobs have ended (none: all jobs, for ever)", false);
  watch->add_option("--timeout", arguments.timeout_s, "Give up after so many seconds")->check(CLI::PositiveNumber);
  add_jobs(app, arguments, "explain", "Say where jobs are restored, and why", true);
  add_jobs(app, arguments, "cancel", "Cancel jobs", true);
  add_jobs(app, arguments, "retry", "Put failed or cancelled jobs back into the queue", true);
  auto* events = add_jobs(app, arguments, "events", "Show what has happened to jobs", true);
  events->add_option("--since", arguments.since, "Only events with a larger sequence number")->check(CLI::NonNegativeNumber);
  add_top(app, arguments);
  app.add_subcommand("models", "List the networks");
  app.add_subcommand("ping", "Ask whether the daemon is there");
  add_run(app, arguments);
  add_convert(app, arguments);
  add_keygen(app, arguments);
  add_passed_on(app, "plan", "Say how a picture would be restored, and why, without doing it");
  add_passed_on(app, "validate", "Compare a network's optimised path with the plain one and with golden tensors");
  add_passed_on(app, "compile", "Compile a network for the device at hand (needs Python with PyTorch)");
  add_passed_on(app, "calibrate", "Fit the score that decides about escalation to your own pictures");
}

}  // namespace

std::variant<Arguments, int> parse_arguments(const std::vector<std::string>& words, Console& console) {
  Arguments arguments;
  CLI::App app("Restores pictures with the retouchd daemon.", "retouch");
  app.set_version_flag("--version", "retouch " RETOUCHD_VERSION);
  app.add_flag("--json", arguments.json, "One JSON object per line instead of text");
  app.add_option("--connect", arguments.connect.endpoint,
                 "The daemon's request endpoint, such as ipc:///run/retouchd/requests.sock")
      ->type_name("ENDPOINT");
  app.add_option("--config", arguments.connect.config, "The daemon's configuration file, to find its endpoint")
      ->type_name("FILE");
  app.require_subcommand(0, 1);  // none is refused below: CLI11 would rather miss a command than name the wrong one
  app.fallthrough();
  app.footer(
      "Exit codes: 0 ok, 1 some failed, 2 usage, 3 input, 4 daemon unreachable, 5 network or device, 6 cancelled, 7 timeout, "
      "75 busy, 130 interrupted.");
  add_commands(app, arguments);
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes them from the back
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const int code = app.exit(error, out, err);
    if (!out.str().empty()) console.text(out.str());
    if (!err.str().empty()) console.usage(err.str());
    return code == 0 ? 0 : kExitUsage;
  }
  if (app.get_subcommands().empty()) {
    console.usage("A command is required.\nRun with --help for more information.\n");
    return kExitUsage;
  }
  arguments.command = app.get_subcommands().front()->get_name();
  if (app.get_subcommands().front()->get_prefix_command()) arguments.passed_on = app.get_subcommands().front()->remaining();
  console.use_json(arguments.json);
  return arguments;
}

}  // namespace retouchd::cli
