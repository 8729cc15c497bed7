#include "inference/networks/weight_reader.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <charconv>

namespace retouchd::inference {
namespace {

at::ScalarType scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  if (dtype == "F64") return at::kDouble;
  if (dtype == "I64") return at::kLong;
  if (dtype == "I32") return at::kInt;
  throw BadWeights("weights of type " + dtype + " are not supported; F32, F16, BF16 and F64 are");
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto side : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(side);
  return text + "]";
}

}  // namespace

const WeightHeader::Entry& WeightReader::entry(const std::string& name) const {
  const auto found = file_.header.tensors.find(name);
  if (found == file_.header.tensors.end()) throw BadWeights("tensor `" + name + "` is missing");
  return found->second;
}

at::Tensor WeightReader::view(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const auto& found = entry(name);
  if (found.shape != shape)
    throw BadWeights("tensor `" + name + "` has shape " + text_of(found.shape) + ", expected " + text_of(shape));
  // from_blob does not copy, and nobody writes into what only leaves here as a copy, so the const_cast is sound.
  auto* bytes = const_cast<std::uint8_t*>(file_.data.data() + found.begin);
  return at::from_blob(bytes, found.shape, at::TensorOptions().dtype(scalar_type(found.dtype)));
}

at::Tensor WeightReader::take(const std::string& name, const std::vector<std::int64_t>& shape) {
  const auto found = view(name, shape);
  if (!found.is_floating_point()) throw BadWeights("tensor `" + name + "` holds whole numbers instead of weights");
  auto tensor = found.to(device_, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  if (!at::isfinite(tensor).all().item<bool>()) throw BadWeights("tensor `" + name + "` holds NaN or infinity");
  taken_.push_back(name);
  return tensor;
}

at::Tensor WeightReader::take_integers(const std::string& name, const std::vector<std::int64_t>& shape) {
  const auto found = view(name, shape);
  if (found.is_floating_point())
    throw BadWeights("tensor `" + name + "` holds " + entry(name).dtype + " instead of whole numbers");
  taken_.push_back(name);
  return found.to(at::kLong, /*non_blocking=*/false, /*copy=*/true);
}

std::vector<std::int64_t> WeightReader::shape_of(const std::string& name) const { return entry(name).shape; }

int WeightReader::count(const std::string& prefix) const {
  int highest = -1;
  const std::string start = prefix + ".";
  for (auto it = file_.header.tensors.lower_bound(start); it != file_.header.tensors.end() && it->first.starts_with(start);
       ++it) {
    int index = -1;
    const char* begin = it->first.data() + start.size();
    if (std::from_chars(begin, it->first.data() + it->first.size(), index).ec == std::errc{}) highest = std::max(highest, index);
  }
  return highest + 1;
}

void WeightReader::expect_all_taken() const {
  for (const auto& [name, unused] : file_.header.tensors) {
    if (std::find(taken_.begin(), taken_.end(), name) == taken_.end())
      throw BadWeights("tensor `" + name + "` does not belong to this network");
  }
}

}  // namespace retouchd::inference
