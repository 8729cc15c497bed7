#include "daemon/process_tuning.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace retouchd::daemon {

Bytes resident_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "VmRSS:") continue;
    std::uint64_t kibi = 0;
    status >> kibi;
    return kibibytes(kibi);
  }
  return {};
}

void return_large_blocks_early() {
#ifdef __GLIBC__
  // Setting it also stops glibc from raising it by itself after the first large block was freed.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

void wait_without_spinning(char** arguments) {
  constexpr const char* kPolicy = "OMP_WAIT_POLICY";
  if (std::getenv(kPolicy) != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed || ::setenv(kPolicy, "passive", 1) != 0) return;
  ::execv(program.c_str(), arguments);  // returns only when it failed; then all is as it was
}

}  // namespace retouchd::daemon
