// Feeds damaged pictures to one format's reader: FUZZ_FORMAT names it. Beyond "no crash": a refusal is about the picture and has
// a message, planes are as large as the header said, the decoder held no more memory than the header let expect, and what was
// decoded can be encoded.

#include <sanitizer/allocator_interface.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "image/codec.h"

namespace {

using namespace retouchd;
using namespace retouchd::image;

constexpr FileFormat kFormat = FileFormat::FUZZ_FORMAT;
constexpr Bytes kMostMemory = mebibytes(64);
/// Small allocations, tables of a codec that depend on nothing in the file.
constexpr std::int64_t kSlack = 32 << 20;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

std::atomic<std::int64_t> held{0};
std::atomic<std::int64_t> most_held{0};

void on_malloc(const volatile void* block, std::size_t size) {
  if (block == nullptr) return;
  const std::int64_t now = held += static_cast<std::int64_t>(size);
  std::int64_t most = most_held;
  while (now > most && !most_held.compare_exchange_weak(most, now)) {
  }
}
void on_free(const volatile void* block) {
  if (block != nullptr) held -= static_cast<std::int64_t>(__sanitizer_get_allocated_size(block));
}

void expect_about_the_picture(const Error& error) {
  expect(!error.message.empty(), "a refusal has a message");
  switch (error.code) {
    case ErrorCode::kCorruptPicture:
    case ErrorCode::kTruncatedPicture:
    case ErrorCode::kUnsupportedFormat:
    case ErrorCode::kPictureTooLarge:
    case ErrorCode::kInputEmpty:
    case ErrorCode::kOverMemoryBudget:
      return;
    default:
      std::fprintf(stderr, "refused as %s: %s\n", std::string(error.name()).c_str(), error.message.c_str());
      std::abort();
  }
}

/// Hands out no more than the header asked for, and keeps it: a picture's planes may be other views of this memory.
class BoundedPlanes final : public PlaneMemory {
 public:
  explicit BoundedPlanes(Bytes room) : room_(room) {}
  cv::Mat make(cv::Size size, int type) override {
    cv::Mat plane(size, type);
    const Bytes wanted{plane.total() * plane.elemSize()};
    expect(wanted <= room_, "planes are no larger than the header says");
    room_ -= wanted;
    planes_.push_back(plane);
    return plane;
  }
  [[nodiscard]] bool owns(const cv::Mat& /*plane*/) const noexcept override { return true; }

 private:
  Bytes room_;
  std::vector<cv::Mat> planes_;
};

DecodeLimits limits() {
  DecodeLimits limits;
  limits.megapixels = 4;
  limits.metadata = mebibytes(1);
  limits.all_pages = true;
  return limits;
}

void check(const Picture& picture, const PictureHeader& header) {
  expect(!picture.colour.empty(), "a decoded picture has pixels");
  const bool is_upright =
      picture.width() == static_cast<int>(header.width) && picture.height() == static_cast<int>(header.height);
  const bool is_turned = picture.width() == static_cast<int>(header.height) && picture.height() == static_cast<int>(header.width);
  expect(is_upright || is_turned, "a decoded picture has the sides of its header");
  expect(picture.alpha.empty() || picture.alpha.size() == picture.colour.size(), "alpha is as large as the colour");
  const auto encoded = encode(picture, format_for(picture, picture.format), {});
  if (!encoded) {
    std::fprintf(stderr, "cannot be encoded: %s\n", encoded.error().message.c_str());
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> file(data, size);
  const auto format = sniff(file);
  if (!format || *format != kFormat) return 0;
  const auto header = read_header(file, limits());
  if (!header) {
    expect_about_the_picture(header.error());
    return 0;
  }
  const Bytes promised = header->decoded_bytes() + header->working;
  if (promised > kMostMemory) return 0;
  const std::int64_t before = held;
  most_held = before;
  {
    BoundedPlanes memory(header->decoded_bytes());
    const auto picture = decode(file, limits(), memory);
    const std::int64_t beyond = most_held - before - static_cast<std::int64_t>(promised.value + 2 * size) - kSlack;
    if (beyond > 0)
      std::fprintf(stderr, "%lld bytes beyond %llu\n", static_cast<long long>(beyond),
                   static_cast<unsigned long long>(promised.value));
    expect(beyond <= 0, "a decoder holds no more memory than its header lets expect");
    if (!picture) {
      expect_about_the_picture(picture.error());
      return 0;
    }
    check(*picture, *header);
  }
  return 0;
}
