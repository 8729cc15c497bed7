// Feeds arbitrary bytes to the recognition of file types, and to the header readers of whatever they look like.

#include <cstdint>
#include <cstdlib>
#include <span>

#include "image/codec.h"
#include "image/signature.h"

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace retouchd;
  const std::span<const std::uint8_t> file(data, size);
  const image::Signature signature = image::signature_of(file);
  expect(!signature.format || signature.looks_like.empty());
  const auto format = image::sniff(file);
  expect(format.ok() == signature.format.has_value());
  if (!format) {
    expect(!format.error().message.empty());
    expect(size > 0 || format.error().code == ErrorCode::kInputEmpty);
  }
  image::DecodeLimits limits;
  limits.megapixels = 4;
  const auto header = image::read_header(file, limits);
  if (header)
    expect(header->width > 0 && header->height > 0 && header->megapixels() <= 4 &&
           (header->channels >= 1 && header->channels <= 4));
  if (!header) expect(!header.error().message.empty() && header.error().code != ErrorCode::kInternal);
  return 0;
}
