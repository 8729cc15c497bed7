// How inputs change: half of the mutations are libFuzzer's, half know the structure of picture files. The codec libraries are not
// instrumented, so that blind mutations would seldom get beyond their checks. FUZZ_SKIP bytes in front of the file are
// libFuzzer's.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/malformed/damage.h"
#include "tests/malformed/layout.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  using namespace retouchd;
  malformed::Random random(seed);
  if (size <= FUZZ_SKIP || random() % 2 == 0) {
    const std::size_t now = LLVMFuzzerMutate(data, size, max_size);
    constexpr std::uint8_t kPng[] = {0x89, 'P', 'N', 'G'};
    if (now < FUZZ_SKIP + sizeof kPng || std::memcmp(data + FUZZ_SKIP, kPng, sizeof kPng) != 0 || random() % 8 == 0) return now;
    image::ByteVector file(data + FUZZ_SKIP, data + now);
    malformed::repair_png(file);
    std::memcpy(data + FUZZ_SKIP, file.data(), file.size());
    return now;
  }
  const image::ByteVector damaged = malformed::damage({data + FUZZ_SKIP, size - FUZZ_SKIP}, random).file;
  const std::size_t now = std::min(damaged.size(), max_size - FUZZ_SKIP);
  if (now > 0) std::memcpy(data + FUZZ_SKIP, damaged.data(), now);
  return now + FUZZ_SKIP;
}
