#pragma once

namespace retouchd::cli {

/// From now on SIGINT and SIGTERM are remembered instead of ending the program; a second one ends it.
void catch_interrupts();

[[nodiscard]] bool is_interrupted() noexcept;

}  // namespace retouchd::cli
