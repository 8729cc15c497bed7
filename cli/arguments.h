#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cli/connection.h"
#include "cli/console.h"

namespace retouchd::cli {

/// What the user typed; docs/cli.md describes each option.
struct Arguments {
  std::string command;
  bool json = false;
  ConnectOptions connect;
  std::vector<std::string> files;
  std::vector<std::string> passed_on;  ///< plan, validate, compile, calibrate: what `retouchd` understands
  std::string output;
  std::string source;          ///< convert: the weight file
  std::string dtype = "keep";  ///< convert: "keep", "f16", "bf16", "f32"
  std::string task;
  std::string license;
  std::string network;
  std::string key;
  bool wait = false;
  bool overwrite = false;
  bool preview_only = false;
  std::string policy;             ///< empty: the daemon's
  std::optional<bool> skip_good;  ///< nullopt: the daemon's
  bool preview = true;
  int priority = 0;
  double deadline_s = 0;  ///< 0: none
  std::optional<double> timeout_s;
  std::vector<std::int64_t> jobs;
  std::string state;
  int limit = 100;
  std::int64_t since = 0;
  bool node = false;      ///< keygen: for a node
  bool force = false;     ///< keygen: replace a key file
  bool once = false;      ///< top: show it one time
  double interval_s = 1;  ///< top: between two looks
};

/// The arguments, or the exit code when there is nothing more to do: help and version were printed (0), or a usage error (2).
[[nodiscard]] std::variant<Arguments, int> parse_arguments(const std::vector<std::string>& words, Console& console);

}  // namespace retouchd::cli
