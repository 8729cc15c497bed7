#include "inference/remote/inference_protocol.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/file.h"

namespace retouchd::inference {
namespace {

using nlohmann::json;

constexpr const char* kJsonLength = "Inference-Header-Content-Length";
constexpr Bytes kJsonOfAnAnswer = kibibytes(64);
constexpr int kLargestSide = 65'536;
/// Triton bounds requests, too ("exceeds the maximum allowed input size").
constexpr std::array<std::string_view, 6> kMemoryWords{"out of memory",      "OUT_OF_MEMORY",      "bad_alloc",
                                                       "Failed to allocate", "failed to allocate", "exceeds the maximum"};

Error refused(const std::string& model, const std::string& what) {
  return make_error(ErrorCode::kBadWeights, "the model " + model + " of the server " + what);
}

/// Foreign text for a message.
std::string one_line(std::string text, std::size_t most) {
  text = text.substr(0, most);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7E; }, ' ');
  return text;
}

std::optional<NumberType> type_named(std::string_view name) {
  if (name == "FP32") return NumberType::kFp32;
  if (name == "FP16") return NumberType::kFp16;
  return std::nullopt;
}

/// The one tensor of a list in the metadata. Throws nlohmann::json::exception.
Result<json> only_tensor(const std::string& model, const json& metadata, const char* list) {
  const json& tensors = metadata.at(list);
  if (!tensors.is_array() || tensors.size() != 1) {
    return refused(model, "has " + std::to_string(tensors.size()) + " " + list + ", expected one: pictures as [N, C, H, W]");
  }
  return tensors.front();
}

struct Shape {
  std::vector<std::int64_t> dims;

  [[nodiscard]] bool has_batch() const { return dims.size() == 4; }
  [[nodiscard]] std::int64_t batch() const { return has_batch() ? dims.front() : 1; }
  [[nodiscard]] std::int64_t channels() const { return dims[dims.size() - 3]; }
  [[nodiscard]] std::optional<int> side(std::size_t from_end) const {
    const std::int64_t side = dims[dims.size() - from_end];
    return side == -1 ? std::nullopt : std::optional<int>(static_cast<int>(side));
  }
  [[nodiscard]] std::string text() const { return json(dims).dump(); }
};

/// Throws nlohmann::json::exception.
Result<Shape> shape_in(const std::string& model, const json& tensor) {
  const Shape shape{tensor.at("shape").get<std::vector<std::int64_t>>()};
  const auto is_side = [](std::int64_t side) { return side == -1 || (side >= 1 && side <= kLargestSide); };
  const bool is_picture = (shape.dims.size() == 3 || shape.dims.size() == 4) &&
                          std::all_of(shape.dims.begin(), shape.dims.end(), is_side) &&
                          (shape.channels() == 1 || shape.channels() == 3);
  if (is_picture) return shape;
  return refused(model, "has a tensor of shape " + shape.text() + ", expected pictures as [N, C, H, W] of 1 or 3 channels");
}

Result<ServedModel::Tensor> tensor_of(const std::string& model, const json& described, const Shape& shape) {
  ServedModel::Tensor tensor;
  tensor.name = described.at("name").get<std::string>();
  const auto type_name = described.at("datatype").get<std::string>();
  const auto type = type_named(type_name);
  if (!type) return refused(model, "has a tensor of type " + one_line(type_name, 20) + ", expected FP32 or FP16");
  tensor.type = *type;
  tensor.height = shape.side(2);
  tensor.width = shape.side(1);
  return tensor;
}

/// A whole number of the config's parameters. kBadWeights when it is none of `least` ... `most`.
Result<std::optional<int>> parameter(const std::string& model, const json& config, const std::string& key, int least, int most) {
  const auto parameters = config.find("parameters");
  if (parameters == config.end() || !parameters->contains(key)) return std::optional<int>();
  const auto text = parameters->at(key).at("string_value").get<std::string>();
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    return refused(model, "has the parameter " + key + ", which is not a number from " + std::to_string(least) + " to " +
                              std::to_string(most));
  }
  return std::optional<int>(value);
}

/// Output pixels per input pixel along one side, where both are fixed. 0: no whole number.
std::optional<int> ratio_of(std::optional<int> input, std::optional<int> output) {
  if (!input || !output) return std::nullopt;
  return *output % *input == 0 ? *output / *input : 0;
}

Result<void> read_scale(ServedModel& model, const json& config) {
  const auto named = parameter(model.name, config, "retouchd.scale", 1, 8);
  if (!named) return named.error();
  const auto vertical = ratio_of(model.input.height, model.output.height);
  const auto horizontal = ratio_of(model.input.width, model.output.width);
  model.scale = named->value_or(vertical.value_or(horizontal.value_or(1)));
  for (const auto& ratio : {vertical, horizontal}) {
    if (ratio && (*ratio != model.scale || *ratio < 1 || *ratio > 8))
      return refused(model.name, "gives pictures of a size that is not its input's times one whole number from 1 to 8");
  }
  return {};
}

Result<void> read_config(ServedModel& model, const json& config) {
  if (auto scale = read_scale(model, config); !scale) return scale;
  const auto multiple = parameter(model.name, config, "retouchd.multiple", 1, 256);
  if (!multiple) return multiple.error();
  model.multiple = multiple->value_or(model.multiple);
  const auto field = parameter(model.name, config, "retouchd.receptive_field", 0, 1024);
  if (!field) return field.error();
  model.receptive_field = *field;
  const auto batch = config.value("max_batch_size", std::int64_t{0});
  if (batch < 0 || batch > kLargestSide) return refused(model.name, "has a max_batch_size that makes no sense");
  if (batch > 0 && model.largest_batch == 0) model.largest_batch = static_cast<int>(batch);
  return {};
}

/// The highest number.
std::string newest(const std::vector<std::string>& versions) {
  const auto found = std::max_element(versions.begin(), versions.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  return found == versions.end() ? std::string() : *found;
}

Result<ServedModel> read_model(const std::string& name, const json& metadata, const json& config) {
  ServedModel model;
  model.name = name;
  if (metadata.at("name").get<std::string>() != name)
    return make_error(ErrorCode::kDeviceFailed, "the server answered about another model than " + name);
  if (metadata.contains("versions")) model.version = newest(metadata.at("versions").get<std::vector<std::string>>());
  if (!model.version.empty() && !is_model_name(model.version))
    return refused(name, "has a version whose name cannot be part of an address");
  const auto input = only_tensor(name, metadata, "inputs");
  if (!input) return input.error();
  const auto output = only_tensor(name, metadata, "outputs");
  if (!output) return output.error();
  const auto shape = shape_in(name, *input);
  if (!shape) return shape.error();
  const auto output_shape = shape_in(name, *output);
  if (!output_shape) return output_shape.error();
  if (shape->has_batch() != output_shape->has_batch() || shape->channels() != output_shape->channels() ||
      shape->batch() != output_shape->batch()) {
    return refused(name, "turns tensors of " + shape->text() + " into " + output_shape->text() +
                             ", expected as many pictures and channels as went in");
  }
  if (shape->batch() > 1)
    return refused(name, "takes only batches of " + std::to_string(shape->batch()) + ", expected -1 or 1 in " + shape->text());

  auto tensor = tensor_of(name, *input, *shape);
  if (!tensor) return tensor.error();
  model.input = *std::move(tensor);
  tensor = tensor_of(name, *output, *output_shape);
  if (!tensor) return tensor.error();
  model.output = *std::move(tensor);
  model.channels = static_cast<int>(shape->channels());
  model.has_batch = shape->has_batch();
  model.largest_batch = shape->batch() == 1 ? 1 : 0;
  if (auto read = read_config(model, config); !read) return read.error();
  return model;
}

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::vector<std::int64_t> dims_of(const ServedModel& model, const TensorShape& shape) {
  if (!model.has_batch) return {shape.channels, shape.height, shape.width};
  return {shape.batch, shape.channels, shape.height, shape.width};
}

std::uint64_t bytes_in(NumberType type, const TensorShape& shape) { return shape.count() * size_of(type); }

std::string sides(const ServedModel::Tensor& tensor) {
  const auto text = [](std::optional<int> side) { return side ? std::to_string(*side) : std::string("any"); };
  return text(tensor.width) + "x" + text(tensor.height);
}

Error broken(const ServedModel& model, const std::string& what) {
  return make_error(ErrorCode::kDeviceFailed, "the server's answer for the model " + model.name + " " + what);
}

/// Checks the answer's JSON. Throws nlohmann::json::exception.
Result<void> check_answer(const json& answer, const ServedModel& model, const TensorShape& expected, std::uint64_t id) {
  if (answer.at("model_name").get<std::string>() != model.name) return broken(model, "is another model's");
  if (answer.contains("id") && answer.at("id").get<std::string>() != std::to_string(id))
    return broken(model, "belongs to another request");
  const json& outputs = answer.at("outputs");
  if (!outputs.is_array() || outputs.size() != 1)
    return broken(model, "has " + std::to_string(outputs.size()) + " tensors, expected one");
  const json& output = outputs.front();
  if (output.at("name").get<std::string>() != model.output.name)
    return broken(model, "has another tensor than " + model.output.name);
  if (output.at("datatype").get<std::string>() != name_of(model.output.type))
    return broken(model, "has numbers of another type than " + std::string(name_of(model.output.type)));
  const auto dims = output.at("shape").get<std::vector<std::int64_t>>();
  if (dims != dims_of(model, expected))
    return broken(model,
                  "has the shape " + json(dims).dump().substr(0, 100) + ", expected " + json(dims_of(model, expected)).dump());
  const auto size = output.at("parameters").at("binary_data_size").get<std::uint64_t>();
  if (size != bytes_in(model.output.type, expected)) {
    return broken(
        model, "announces " + std::to_string(size) + " bytes, expected " + std::to_string(bytes_in(model.output.type, expected)));
  }
  return {};
}

}  // namespace

std::string_view name_of(NumberType type) noexcept { return type == NumberType::kFp32 ? "FP32" : "FP16"; }

std::size_t size_of(NumberType type) noexcept { return type == NumberType::kFp32 ? 4 : 2; }

bool is_model_name(std::string_view name) noexcept {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 128 && name != "." && name != ".." && std::all_of(name.begin(), name.end(), allowed);
}

std::string ServedModel::infer_path() const {
  return "/v2/models/" + name + (version.empty() ? "" : "/versions/" + version) + "/infer";
}

NetworkInfo ServedModel::network() const {
  NetworkInfo info;
  info.name = name;
  info.architecture = "remote";
  info.variant = version.empty() ? "" : "version " + version;
  info.channels = channels;
  info.scale = scale;
  info.multiple = multiple;
  info.receptive_field = receptive_field;
  info.sha256 = sha256;
  return info;
}

Result<void> ServedModel::fits(const NetworkInfo& network) const {
  if (network.companion != Companion::kNone)
    return refused(name, "takes one picture, " + network.name + " needs a second one beside it");
  if (network.channels != channels) {
    return refused(name, "takes pictures of " + std::to_string(channels) + " channels, expected " +
                             std::to_string(network.channels) + " as " + network.name + " has them");
  }
  if (network.scale != scale) {
    return refused(name, "enlarges by " + std::to_string(scale) + ", expected " + std::to_string(network.scale) + " as " +
                             network.name + " does; its parameter retouchd.scale says so where its shapes do not");
  }
  for (const auto& side : {input.height, input.width}) {
    if (side && *side % network.multiple != 0) {
      return refused(name, "takes tensors of " + sides(input) + ", expected multiples of " + std::to_string(network.multiple));
    }
  }
  return {};
}

Result<ServedModel> parse_model(const std::string& name, std::string_view metadata, std::optional<std::string_view> config) {
  try {
    auto model = read_model(name, json::parse(metadata), config ? json::parse(*config) : json::object());
    if (!model) return model;
    std::string all(metadata);
    all += config.value_or("");
    model->sha256 = sha256_hex(bytes_of(all));
    return model;
  } catch (const json::exception&) {
    return make_error(ErrorCode::kDeviceFailed,
                      "what the server says about the model " + name + " is not the Open Inference Protocol's description");
  }
}

std::string infer_json(const ServedModel& model, const TensorShape& input, std::uint64_t id) {
  const json request{{"id", std::to_string(id)},
                     {"inputs",
                      {{{"name", model.input.name},
                        {"shape", dims_of(model, input)},
                        {"datatype", name_of(model.input.type)},
                        {"parameters", {{"binary_data_size", bytes_in(model.input.type, input)}}}}}},
                     {"outputs", {{{"name", model.output.name}, {"parameters", {{"binary_data", true}}}}}}};
  return request.dump();
}

std::vector<std::pair<std::string, std::string>> infer_headers(std::size_t json_size) {
  return {{"Content-Type", "application/octet-stream"}, {kJsonLength, std::to_string(json_size)}};
}

Result<std::span<const std::uint8_t>> output_in(const HttpAnswer& answer, const ServedModel& model, const TensorShape& expected,
                                                std::uint64_t id) {
  const std::string_view length = answer.header("inference-header-content-length");
  std::size_t json_size = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), json_size);
  if (error != std::errc{} || end != length.data() + length.size())
    return broken(model, "has no binary tensor; the server must speak that extension of the Open Inference Protocol");
  const std::uint64_t numbers = bytes_in(model.output.type, expected);
  if (json_size > answer.body.size() || answer.body.size() - json_size != numbers)
    return broken(model, "has " + std::to_string(answer.body.size()) + " bytes, expected " + std::to_string(numbers) +
                             " and their description");
  try {
    if (auto checked = check_answer(json::parse(answer.text().substr(0, json_size)), model, expected, id); !checked)
      return checked.error();
  } catch (const json::exception&) {
    return broken(model, "does not describe its tensor");
  }
  return std::span(answer.body).subspan(json_size);
}

Bytes largest_answer(const ServedModel& model, const TensorShape& output) noexcept {
  return Bytes{bytes_in(model.output.type, output)} + kJsonOfAnAnswer;
}

std::string reason_in(const HttpAnswer& answer) {
  constexpr std::size_t kMost = 300;
  const json body = json::parse(answer.text(), nullptr, /*allow_exceptions=*/false);
  std::string text = body.is_object() && body.contains("error") && body["error"].is_string() ? body["error"].get<std::string>()
                                                                                             : std::string(answer.text());
  text = one_line(std::move(text), kMost);
  return "status " + std::to_string(answer.status) + (text.empty() ? "" : ", " + text);
}

bool speaks_of_memory(const HttpAnswer& answer) {
  constexpr int kTooLarge = 413;
  if (answer.status == kTooLarge) return true;
  return std::any_of(kMemoryWords.begin(), kMemoryWords.end(),
                     [&answer](std::string_view word) { return answer.text().find(word) != std::string_view::npos; });
}

}  // namespace retouchd::inference
