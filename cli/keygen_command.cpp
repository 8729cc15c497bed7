#include "cli/keygen_command.h"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "config/reader.h"
#include "intake/wire/key_file.h"

namespace retouchd::cli {
namespace {

namespace fs = std::filesystem;

/// Where the daemon looks for it: as its configuration says.
Result<fs::path> default_file(const Arguments& arguments, const config::Environment& environment) {
  const std::string& named = arguments.connect.config;
  const auto config = config::load_config(named.empty() ? std::nullopt : std::optional(fs::absolute(named)), environment);
  if (!config) return config.error();
  return arguments.node ? config->serve.key : config->cloud.key;
}

Result<wire::KeyPair> make_key_file(const fs::path& file, bool replace) {
  auto keys = wire::make_key_pair();
  if (!keys) return keys;
  if (auto written = wire::write_key_file(file, *keys, replace); !written) return written.error();
  return keys;
}

void tell(const Arguments& arguments, const fs::path& file, const std::string& public_key, Console& console) {
  console.line(fmt::format("{} holds the secret key: it stays on this machine.", file.string()));
  console.line(fmt::format("The public key is {}", public_key));
  if (arguments.node) {
    console.line("Each daemon that sends pictures to this node needs, in its configuration:");
    console.line(fmt::format("\n  cloud:\n    node: tcp://<this machine>:9465\n    server_key: \"{}\"\n", public_key));
  } else {
    console.line("The node lets this daemon in with a line in its serve.clients, by a name of your choice:");
    console.line(fmt::format("\n{} <name>\n", public_key));
  }
}

}  // namespace

int keygen_command(const Arguments& arguments, Console& console, const config::Environment& environment) {
  const auto file =
      arguments.output.empty() ? default_file(arguments, environment) : Result<fs::path>(fs::absolute(arguments.output));
  const auto keys = file ? make_key_file(*file, arguments.force) : Result<wire::KeyPair>(file.error());
  if (!keys) {
    console.complain(keys.error());
    return traits_of(keys.error().code).exit_code;
  }
  if (console.json()) {
    console.object({{"file", file->string()}, {"public_key", keys->public_key}});
  } else {
    tell(arguments, *file, keys->public_key, console);
  }
  return 0;
}

}  // namespace retouchd::cli
