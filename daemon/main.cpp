#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/override.h"
#include "config/quantity.h"
#include "config/reader.h"
#include "daemon/calibrate_tool.h"
#include "daemon/compile_tool.h"
#include "daemon/logging.h"
#include "daemon/plan_tool.h"
#include "daemon/process_tuning.h"
#include "daemon/run_once.h"
#include "daemon/service.h"
#include "daemon/side_by_side.h"
#include "daemon/validate_tool.h"
#include "inference/device.h"

namespace {

using retouchd::Error;
namespace config = retouchd::config;
namespace daemon = retouchd::daemon;

struct Arguments {
  std::optional<std::filesystem::path> config;
  std::vector<std::pair<std::string, std::string>> overrides;  ///< key and value
  bool check_config = false;
  bool json = false;
  bool overwrite = false;
  std::vector<std::filesystem::path> run;
  std::vector<std::filesystem::path> side_by_side;
  std::string output;
  std::string network;
  CLI::App* plan = nullptr;
  std::string picture;
  std::optional<std::string> memory;
  CLI::App* validate = nullptr;
  daemon::ValidateOptions validation;
  CLI::App* compile = nullptr;
  daemon::CompileOptions compilation;
  CLI::App* calibrate = nullptr;
  daemon::CalibrateOptions calibration;
};

int refuse(const Error& error) {
  fmt::print(stderr, "retouchd: {}\n  {}\n", error.message, error.remedy());
  return retouchd::traits_of(error.code).exit_code;
}

int serve(config::Config settings, const Arguments& arguments, const config::Environment& environment) {
  if (!arguments.overrides.empty())
    return refuse(retouchd::make_error(retouchd::ErrorCode::kBadConfig, "the daemon takes its settings from the file alone"));
  daemon::Service service(std::move(settings), arguments.config, environment);
  if (const auto started = service.start(); !started) return refuse(started.error());
  return service.run();
}

int plan(const config::Config& settings, const Arguments& arguments) {
  daemon::PlanOptions options{arguments.picture, arguments.network, {}, arguments.json};
  if (arguments.memory) {
    options.memory = config::parse_size(*arguments.memory);
    if (!options.memory)
      return refuse(retouchd::make_error(retouchd::ErrorCode::kInvalidRequest,
                                         "--memory is a size such as 128GiB, not `" + *arguments.memory + "`"));
  }
  return daemon::plan_tool(settings, options);
}

int run(const Arguments& arguments) {
  const auto environment = config::Environment::of_process();
  auto settings = config::load_config(arguments.config, environment);
  if (!settings) return refuse(settings.error());
  for (const auto& [key, value] : arguments.overrides) {
    if (const auto set = config::override_key(*settings, key, value, environment); !set) return refuse(set.error());
  }
  if (arguments.check_config) {
    fmt::print("{} is valid\n", settings->file.empty() ? "the built-in configuration" : settings->file.string());
    return 0;
  }
  daemon::apply_log_level(settings->log);
  if (!arguments.side_by_side.empty()) {
    const auto written = daemon::write_side_by_side(*settings, arguments.side_by_side[0], arguments.side_by_side[1],
                                                    std::filesystem::absolute(arguments.output));
    return written ? 0 : refuse(written.error());
  }
  const bool is_tool = arguments.plan->parsed() || arguments.validate->parsed() || arguments.compile->parsed() ||
                       arguments.calibrate->parsed() || !arguments.run.empty();
  if (is_tool) spdlog::set_level(spdlog::level::warn);  // the terminal belongs to the results
  if (arguments.plan->parsed()) return plan(*settings, arguments);
  if (arguments.validate->parsed()) {
    daemon::ValidateOptions options = arguments.validation;
    options.network = arguments.network;
    options.json = arguments.json;
    return daemon::validate_tool(*settings, options);
  }
  if (arguments.compile->parsed()) {
    daemon::CompileOptions options = arguments.compilation;
    options.network = arguments.network;
    options.json = arguments.json;
    return daemon::compile_tool(*settings, options);
  }
  if (arguments.calibrate->parsed()) {
    daemon::CalibrateOptions options = arguments.calibration;
    options.json = arguments.json;
    return daemon::calibrate_tool(*settings, options);
  }
  if (!arguments.run.empty()) {
    return daemon::run_once(*std::move(settings),
                            {arguments.run, arguments.output, arguments.network, arguments.overwrite, arguments.json});
  }
  return serve(*std::move(settings), arguments, environment);
}

/// Options that stand for keys of the configuration.
void add_overrides(CLI::App& app, Arguments& arguments) {
  const auto add = [&](const std::string& option, const std::string& key, const std::string& description) {
    app.add_option_function<std::string>(
        option, [&arguments, key](const std::string& value) { arguments.overrides.emplace_back(key, value); }, description);
  };
  add("--device", "device", "auto, cpu, cuda or mps");
  add("--precision", "precision", "auto, fp32, tf32, fp16, bf16, mixed or int8");
  add("--mode", "mode", "auto, tiled or single_pass");
  add("--attention", "attention", "global or local, for Restormers");
  app.add_flag_callback(
      "--no-optimize", [&arguments] { arguments.overrides.emplace_back("optimize", "false"); },
      "Operation by operation as published, in fp32");
  app.add_option_function<std::vector<std::string>>(
         "--set",
         [&arguments](const std::vector<std::string>& settings) {
           for (const std::string& setting : settings) {
             const auto equals = setting.find('=');
             if (equals == std::string::npos) throw CLI::ValidationError("--set", "KEY=VALUE is wanted, not `" + setting + "`");
             arguments.overrides.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
           }
         },
         "Any key of the configuration, such as tile.size=256")
      ->type_name("KEY=VALUE");
}

void add_compile(CLI::App& app, Arguments& arguments) {
  arguments.compile = app.add_subcommand("compile", "Compile a network for the device at hand");
  auto& compilation = arguments.compilation;
  auto* network =
      arguments.compile->add_option("network", arguments.network, "A network of the model folders (default: the configured one)");
  arguments.compile
      ->add_option("--tile", compilation.tiles,
                   "Shape of the tiles, such as 528x496; several times for several (default: a square of tile.size)")
      ->type_name("WxH");
  arguments.compile->add_option("--batch", compilation.batch, "The most tiles in one call (default: the device's; 1 on a CPU)")
      ->check(CLI::Range(1, 256));
  arguments.compile->add_option("--python", compilation.python, "A Python with PyTorch of LibTorch's version (default: python3)")
      ->type_name("PATH");
  arguments.compile->add_option("--with", compilation.compiler, "inductor or tensorrt (default: inductor)")
      ->check(CLI::IsMember({"inductor", "tensorrt"}));
  arguments.compile->add_flag("--autotune", compilation.autotune, "Try many kernels for each product; takes much longer");
  auto* list = arguments.compile->add_flag("--list", compilation.list, "Show what is compiled, and whether it can be used here")
                   ->excludes(network);
  arguments.compile->add_flag("--remove", compilation.remove, "Remove what can never be used again")
      ->excludes(network)
      ->excludes(list);
}

void add_tools(CLI::App& app, Arguments& arguments) {
  arguments.plan = app.add_subcommand("plan", "Say how a picture would be restored, and why, without doing it");
  arguments.plan->add_option("picture", arguments.picture, "A file, or a size such as 3296x2192")->required();
  arguments.plan->add_option("--network", arguments.network, "Network to plan for");
  arguments.plan->add_option("--memory", arguments.memory, "As if the memory budget were this")->type_name("SIZE");
  arguments.validate =
      app.add_subcommand("validate", "Compare a network's optimised path with the plain one and with golden tensors");
  auto* weights = arguments.validate->add_option("--weights", arguments.validation.weights, "Weight file")->type_name("FILE");
  arguments.validate->add_option("--network", arguments.network, "A network of the model folders instead")->excludes(weights);
  arguments.validate
      ->add_option("--golden", arguments.validation.golden,
                   "safetensors with `input` [N,C,H,W], `depth` where the network takes it, and `output`")
      ->type_name("FILE");
  arguments.calibrate = app.add_subcommand("calibrate", "Fit the score of the cascade to your own pictures");
  arguments.calibrate->add_option("folder", arguments.calibration.folder, "Pictures, also in folders below it")->required();
  arguments.calibrate
      ->add_option("--rate", arguments.calibration.rate, "Share of the pictures to escalate (default: cascade.rate)")
      ->check(CLI::Range(0.001, 0.999));
  arguments.calibrate->add_option("--output", arguments.calibration.output, "Where it goes (default: cascade.calibration)")
      ->type_name("FILE");
  add_compile(app, arguments);
  for (CLI::App* tool : {arguments.plan, arguments.validate, arguments.compile, arguments.calibrate}) {
    tool->add_flag("--json", arguments.json, "One JSON object instead of text");
    tool->add_option("--config", arguments.config, "Configuration file");
    if (tool != arguments.calibrate) add_overrides(*tool, arguments);
  }
}

void add_options(CLI::App& app, Arguments& arguments) {
  app.add_option("--config", arguments.config,
                 "Configuration file (default: the user's, then /etc/retouchd/config.yaml, then built in)");
  auto* check = app.add_flag("--check-config", arguments.check_config, "Check the configuration and exit");
  auto* files = app.add_option("--run", arguments.run, "Restore these pictures in this process and exit")->excludes(check);
  auto* pair =
      app.add_option("--side-by-side", arguments.side_by_side, "Write two pictures next to each other to --output and exit")
          ->expected(2)
          ->excludes(check)
          ->excludes(files);
  auto* output = app.add_option("--output", arguments.output,
                                "With --run: result file, or folder ending in '/'; with --side-by-side: JPEG file");
  pair->needs(output);
  app.add_option("--network", arguments.network, "With --run: the network to use")->needs(files);
  app.add_flag("--overwrite", arguments.overwrite, "With --run: replace existing results")->needs(files);
  app.add_flag("--json", arguments.json, "With --run: one JSON object per picture")->needs(files);
  add_overrides(app, arguments);
}

}  // namespace

int main(int argc, char** argv) {
  daemon::wait_without_spinning(argv);
  daemon::return_large_blocks_early();
  daemon::set_up_logging();
  Arguments arguments;
  CLI::App app{
      "Restores photographs in the background. Without a command, --run or --side-by-side it serves until SIGTERM or SIGINT; "
      "SIGHUP reloads.",
      "retouchd"};
  app.set_version_flag("--version",
                       fmt::format("retouchd {} (LibTorch {})", RETOUCHD_VERSION, retouchd::inference::libtorch_version()));
  add_options(app, arguments);
  add_tools(app, arguments);
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    return refuse(retouchd::make_error(retouchd::ErrorCode::kInternal, error.what()));
  }
}
