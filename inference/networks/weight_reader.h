#pragma once

#include <ATen/core/Tensor.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "inference/weights/safetensors.h"

namespace retouchd::inference {

/// A tensor is missing, has another shape than its network needs, or holds NaN or Inf. Stays inside inference/.
class BadWeights : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Hands out a file's tensors as fp32 on one device and notes which were asked for.
/// Confined to one thread.
class WeightReader {
 public:
  WeightReader(const WeightFile& file, const at::Device& device) : file_(file), device_(device) {}

  /// Throws BadWeights when `name` is missing or its shape differs.
  [[nodiscard]] at::Tensor take(const std::string& name, const std::vector<std::int64_t>& shape);

  /// Whole numbers, as they are, on the CPU. Throws BadWeights, also for types other than I64 and I32.
  [[nodiscard]] at::Tensor take_integers(const std::string& name, const std::vector<std::int64_t>& shape);

  [[nodiscard]] bool has(const std::string& name) const { return file_.header.find(name) != nullptr; }

  /// `name`, if the file has it, counts as taken: nothing in it that the network would not know by itself.
  void ignore(const std::string& name) { taken_.push_back(name); }

  [[nodiscard]] std::vector<std::int64_t> shape_of(const std::string& name) const;

  /// One more than the highest N with a tensor `<prefix>.N.*`; 0 when there is none.
  [[nodiscard]] int count(const std::string& prefix) const;

  /// Throws BadWeights naming a tensor that nobody took: the file belongs to another network.
  void expect_all_taken() const;

 private:
  [[nodiscard]] const WeightHeader::Entry& entry(const std::string& name) const;
  /// The tensor as the file has it, without a copy.
  [[nodiscard]] at::Tensor view(const std::string& name, const std::vector<std::int64_t>& shape) const;

  const WeightFile& file_;
  const at::Device device_;
  std::vector<std::string> taken_;
};

}  // namespace retouchd::inference
