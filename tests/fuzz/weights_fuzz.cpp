// Feeds arbitrary bytes to the readers of weight files. Beyond "no crash": what is accepted must be consistent, and must survive
// being converted and written as safetensors.

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "inference/weights/byte_source.h"
#include "inference/weights/safetensors.h"
#include "inference/weights/tensor_layout.h"
#include "inference/weights/weight_cast.h"
#include "inference/weights/weight_file.h"

namespace {

using namespace retouchd;
using namespace retouchd::inference;

constexpr Bytes kLimit = mebibytes(16);

void expect(bool holds) {
  if (!holds) std::abort();
}

void expect_bad_weights(const Error& error) { expect(error.code == ErrorCode::kBadWeights && !error.message.empty()); }

void expect_same_tables(const WeightHeader& a, const WeightHeader& b) {
  expect(a.tensors.size() == b.tensors.size() && a.metadata == b.metadata);
  for (const auto& [name, entry] : a.tensors) {
    const auto* other = b.find(name);
    expect(other != nullptr && other->dtype == entry.dtype && other->shape == entry.shape && other->begin == entry.begin &&
           other->end == entry.end);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemorySource source("input", {data, size});
  if (const auto format = detect_weight_format(source); !format) expect_bad_weights(format.error());
  const auto header = read_weight_header(source, kLimit);
  const auto weights = read_weights(source, kLimit);
  expect(header.ok() == weights.ok());
  if (!weights) {
    expect_bad_weights(weights.error());
    return 0;
  }
  expect_same_tables(*header, weights->header);
  for (const auto& [name, entry] : header->tensors) {
    expect(entry.begin <= entry.end && entry.end <= weights->data.size());
    expect(tensor_bytes(entry.dtype, entry.shape) == entry.end - entry.begin);
  }
  const auto cast = cast_weights(*weights, size % 2 == 0 ? "F16" : "F32");
  const auto written = format_safetensors(cast ? *cast : *weights);
  if (!written) return 0;  // a tensor may be called __metadata__
  expect(parse_safetensors(MemorySource("written", *written), gibibytes(1)).header.tensors.size() == header->tensors.size());
  return 0;
}
