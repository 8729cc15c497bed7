#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/interrupt.h"
#include "cli/run_command.h"

int main(int argc, char** argv) {
  using namespace retouchd;
  cli::catch_interrupts();
  cli::Console console(std::cout, std::cerr, ::isatty(STDERR_FILENO) == 1);
  return cli::run_command({argv + 1, argv + argc}, console, config::Environment::of_process());
}
