#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/reader.h"
#include "daemon/logging.h"
#include "daemon/process_memory.h"
#include "daemon/run_once.h"
#include "daemon/service.h"
#include "daemon/side_by_side.h"
#include "inference/device.h"

namespace {

using retouchd::Error;

struct Arguments {
  std::optional<std::filesystem::path> config;
  bool check_config = false;
  bool json = false;
  bool overwrite = false;
  std::vector<std::filesystem::path> run;
  std::vector<std::filesystem::path> side_by_side;
  std::string output;
  std::string network;
};

int refuse(const Error& error) {
  fmt::print(stderr, "retouchd: {}\n  {}\n", error.message, error.remedy());
  return retouchd::traits_of(error.code).exit_code;
}

int serve(retouchd::config::Config config, const Arguments& arguments, const retouchd::config::Environment& environment) {
  retouchd::daemon::Service service(std::move(config), arguments.config, environment);
  if (const auto started = service.start(); !started) return refuse(started.error());
  return service.run();
}

int run(const Arguments& arguments) {
  const auto environment = retouchd::config::Environment::of_process();
  auto config = retouchd::config::load_config(arguments.config, environment);
  if (!config) return refuse(config.error());
  if (arguments.check_config) {
    fmt::print("{} is valid\n", config->file.empty() ? "the built-in configuration" : config->file.string());
    return 0;
  }
  retouchd::daemon::apply_log_level(config->log);
  if (!arguments.side_by_side.empty()) {
    const auto written = retouchd::daemon::write_side_by_side(*config, arguments.side_by_side[0], arguments.side_by_side[1],
                                                              std::filesystem::absolute(arguments.output));
    return written ? 0 : refuse(written.error());
  }
  if (!arguments.run.empty()) {
    spdlog::set_level(spdlog::level::warn);  // the terminal belongs to the results
    return retouchd::daemon::run_once(*std::move(config),
                                      {arguments.run, arguments.output, arguments.network, arguments.overwrite, arguments.json});
  }
  return serve(*std::move(config), arguments, environment);
}

}  // namespace

int main(int argc, char** argv) {
  retouchd::daemon::return_large_blocks_early();
  retouchd::daemon::set_up_logging();
  Arguments arguments;
  CLI::App app{
      "Restores photographs in the background. Without --run or --side-by-side it serves until SIGTERM or SIGINT; SIGHUP "
      "reloads."};
  app.set_version_flag("--version",
                       fmt::format("retouchd {} (LibTorch {})", RETOUCHD_VERSION, retouchd::inference::libtorch_version()));
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
