#include "daemon/process_memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace retouchd::daemon {

Bytes peak_resident_memory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word != "VmHWM:") continue;
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

}  // namespace retouchd::daemon
