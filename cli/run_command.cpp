#include "cli/run_command.h"

#include <exception>

#include "cli/arguments.h"
#include "cli/convert_command.h"
#include "cli/job_commands.h"
#include "cli/keygen_command.h"
#include "cli/outcome.h"
#include "cli/run_local.h"
#include "cli/submit_command.h"
#include "cli/top_command.h"
#include "cli/watch_command.h"

namespace retouchd::cli {
namespace {

int dispatch(const Arguments& arguments, Console& console, const config::Environment& environment) {
  const bool is_local = arguments.command == "run" || arguments.command == "plan" || arguments.command == "validate" ||
                        arguments.command == "compile" || arguments.command == "calibrate";
  if (is_local) return run_local(arguments, console);
  if (arguments.command == "convert") return convert_command(arguments, console);
  if (arguments.command == "keygen") return keygen_command(arguments, console, environment);
  if (arguments.command == "submit") return submit_command(arguments, console, environment);
  auto connection = Connection::open(arguments.connect, environment);
  if (!connection) {
    console.complain(connection.error());
    return traits_of(connection.error().code).exit_code;
  }
  if (arguments.command == "watch") return watch_command(arguments, *connection, console);
  if (arguments.command == "top") return top_command(arguments, *connection, console);
  return job_command(arguments, *connection, console);
}

}  // namespace

int run_command(const std::vector<std::string>& words, Console& console, const config::Environment& environment) {
  try {
    const auto parsed = parse_arguments(words, console);
    if (const int* code = std::get_if<int>(&parsed)) return *code;
    return dispatch(std::get<Arguments>(parsed), console, environment);
  } catch (const std::exception& exception) {
    const Error error = make_error(ErrorCode::kInternal, exception.what());
    console.complain(error);
    return traits_of(error.code).exit_code;
  }
}

}  // namespace retouchd::cli
