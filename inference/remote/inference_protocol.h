#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http_client.h"
#include "base/result.h"
#include "inference/network_info.h"

namespace retouchd::inference {

// The Open Inference Protocol (KServe's version 2) over HTTP, with the binary tensor extension: a request's body is a JSON
// object, whose length a header tells, and after it the numbers of the tensors as they lie in memory (little-endian, row by row).
//
//   GET  /v2/health/ready                          200: ready
//   GET  /v2/models/<model>                        names, types and shapes of its tensors
//   GET  /v2/models/<model>/config                 Triton only: largest batch, parameters
//   POST /v2/models/<model>/versions/<v>/infer     restores a batch

/// How the numbers of a tensor are sent.
enum class NumberType { kFp32, kFp16 };

[[nodiscard]] std::string_view name_of(NumberType type) noexcept;  ///< "FP32", "FP16"
[[nodiscard]] std::size_t size_of(NumberType type) noexcept;       ///< bytes

/// One tensor of pictures.
struct TensorShape {
  std::int64_t batch = 1;
  std::int64_t channels = 3;
  std::int64_t height = 0;
  std::int64_t width = 0;

  [[nodiscard]] std::uint64_t count() const noexcept {
    return static_cast<std::uint64_t>(batch) * static_cast<std::uint64_t>(channels) * static_cast<std::uint64_t>(height) *
           static_cast<std::uint64_t>(width);
  }
  friend bool operator==(const TensorShape&, const TensorShape&) = default;
};

/// A model as its server describes it: one tensor of pictures in, one out. All numbers are checked.
struct ServedModel {
  struct Tensor {
    std::string name;
    NumberType type = NumberType::kFp32;
    std::optional<int> height;  ///< nullopt: any
    std::optional<int> width;
  };

  std::string name;
  std::string version;  ///< the newest; empty where the server names none
  Tensor input;
  Tensor output;
  int channels = 3;       ///< 1 or 3, of both
  bool has_batch = true;  ///< shapes begin with the batch
  int largest_batch = 0;  ///< 0: not limited
  int scale = 1;          ///< output pixels per input pixel along a side
  int multiple = 8;       ///< that sides of tiles should have
  std::optional<int> receptive_field;
  std::string sha256;  ///< of what the server says, its version included

  /// Where batches go, after the server's address.
  [[nodiscard]] std::string infer_path() const;
  /// What the planner needs. The network's name is the model's.
  [[nodiscard]] NetworkInfo network() const;
  /// Whether it can stand for `network`. kBadWeights names the model, what it does and what was expected.
  [[nodiscard]] Result<void> fits(const NetworkInfo& network) const;
};

/// Whether a model can have that name: one that fits into a path as it is.
[[nodiscard]] bool is_model_name(std::string_view name) noexcept;

/// Reads the two descriptions of a model. `config` is nullopt where the server gives none. The parameters `retouchd.multiple`
/// (1 to 256), `retouchd.receptive_field` (0 to 1024) and `retouchd.scale` (1 to 8) say what shapes cannot; without them
/// multiples of 8 are assumed, and a network that sees everything. kBadWeights names the model and what was expected;
/// kDeviceFailed when the server does not speak the protocol.
[[nodiscard]] Result<ServedModel> parse_model(const std::string& name, std::string_view metadata,
                                              std::optional<std::string_view> config);

/// The JSON part of a request whose numbers follow, and the headers it is sent with.
[[nodiscard]] std::string infer_json(const ServedModel& model, const TensorShape& input, std::uint64_t id);
[[nodiscard]] std::vector<std::pair<std::string, std::string>> infer_headers(std::size_t json_size);

/// The numbers of the output in `answer`, which has status 200: exactly those of `expected`. kDeviceFailed says what was wrong.
[[nodiscard]] Result<std::span<const std::uint8_t>> output_in(const HttpAnswer& answer, const ServedModel& model,
                                                              const TensorShape& expected, std::uint64_t id);

/// Most bytes that an answer with such an output may have.
[[nodiscard]] Bytes largest_answer(const ServedModel& model, const TensorShape& output) noexcept;

/// What a server says about its failure, fit for a log: one line of at most some hundred characters.
[[nodiscard]] std::string reason_in(const HttpAnswer& answer);

/// Whether a failed answer says that a smaller batch may succeed.
[[nodiscard]] bool speaks_of_memory(const HttpAnswer& answer);

}  // namespace retouchd::inference
