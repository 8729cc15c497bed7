#include "inference/remote/model_server.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <limits>
#include <opencv2/core.hpp>
#include <string_view>

#include "inference/batch_layout.h"
#include "inference/computing_scope.h"
#include "inference/load_log.h"
#include "inference/pixel_pool.h"
#include "inference/remote/planes.h"

namespace retouchd::inference {
namespace {

constexpr std::string_view kScheme = "http://";
constexpr std::chrono::milliseconds kConnect{5'000};
constexpr std::chrono::milliseconds kQuestion{20'000};  ///< for anything but computing

/// Fixed sides, else those that are wanted; nullopt where the wanted ones are larger.
std::optional<cv::Size> tensor_for(const ServedModel& model, cv::Size wanted) {
  const cv::Size tensor(model.input.width.value_or(wanted.width), model.input.height.value_or(wanted.height));
  if (tensor.width < wanted.width || tensor.height < wanted.height) return std::nullopt;
  return tensor;
}

/// Tiles have at most tile.size^2 pixels and sides of at most 1 : 2 (stages/tile_plan.h).
int tile_size_for(const ServedModel& model) {
  const int side = std::min(model.input.width.value_or(std::numeric_limits<int>::max()),
                            model.input.height.value_or(std::numeric_limits<int>::max()));
  return static_cast<int>(0.7 * side) / 8 * 8;
}

std::string text_of(cv::Size size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

class ModelServer::Borrowed {
 public:
  explicit Borrowed(ModelServer& server) : server_(server), client_(take(server)) {}
  ~Borrowed() {
    const std::lock_guard lock(server_.mutex_);
    server_.clients_.push_back(std::move(client_));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  HttpClient& operator*() { return client_; }

 private:
  static HttpClient take(ModelServer& server) {
    const std::lock_guard lock(server.mutex_);
    if (server.clients_.empty()) return HttpClient();
    HttpClient client = std::move(server.clients_.back());
    server.clients_.pop_back();
    return client;
  }

  ModelServer& server_;
  HttpClient client_;
};

struct ModelServer::Output {
  HttpAnswer answer;
  std::size_t begin = 0;
};

ModelServer::ModelServer(std::string url, ModelServerOptions options)
    : url_(std::move(url)), name_("server:" + url_.substr(std::min(kScheme.size(), url_.size()))), options_(std::move(options)) {}

Error ModelServer::failed(ErrorCode code, const std::string& reason) const {
  return make_error(code, "model server " + url_ + ": " + reason);
}

Result<HttpAnswer> ModelServer::get(HttpClient& client, const std::string& path) const {
  HttpLimits limits;
  limits.connect = kConnect;
  limits.total = std::min(kQuestion, options_.timeout);
  auto answer = client.send({.url = url_ + path}, limits);
  if (!answer) return make_error(ErrorCode::kDeviceFailed, "model server " + answer.error().message);
  return answer;
}

Result<ServedModel> ModelServer::ask(HttpClient& client, const std::string& name) const {
  constexpr int kNotFound = 404;
  constexpr int kBadRequest = 400;
  if (!is_model_name(name)) return failed(ErrorCode::kBadWeights, "`" + name + "` cannot be the name of a model");
  const auto ready = get(client, "/v2/health/ready");
  if (!ready) return ready.error();
  if (!ready->ok()) return failed(ErrorCode::kDeviceFailed, "not ready (" + reason_in(*ready) + ")");
  const auto metadata = get(client, "/v2/models/" + name);
  if (!metadata) return metadata.error();
  if (metadata->status == kNotFound || metadata->status == kBadRequest)
    return failed(ErrorCode::kBadWeights, "has no model " + name + " (" + reason_in(*metadata) + ")");
  if (!metadata->ok()) return failed(ErrorCode::kDeviceFailed, "does not describe " + name + " (" + reason_in(*metadata) + ")");
  const auto config = get(client, "/v2/models/" + name + "/config");
  if (!config) return config.error();
  auto model = parse_model(name, metadata->text(), config->ok() ? std::optional(config->text()) : std::nullopt);
  if (!model) return failed(model.error().code, model.error().message);
  return model;
}

Result<void> ModelServer::load(const NetworkInfo& network) {
  Borrowed client(*this);
  auto model = ask(*client, model_of(network.name));
  if (!model) return model.error();
  if (auto fit = model->fits(network); !fit) return failed(fit.error().code, fit.error().message);
  const bool is_new = !models_.contains(network.id());
  models_[network.id()] = *std::move(model);
  if (is_new) log_loaded(network, precision_for(network));
  return {};
}

PrecisionChoice ModelServer::precision_for(const NetworkInfo& network) const {
  PrecisionChoice choice;
  choice.reason = "as " + url_ + " has it";
  if (options_.precision && *options_.precision != Precision::kFp32) {
    choice.warning = std::string(name_of(*options_.precision)) + " was asked for, but " + network.name +
                     " computes as the model server was set up";
  }
  return choice;
}

Result<ModelServer::Output> ModelServer::infer(HttpClient& client, const ServedModel& model, const cv::Mat& planes,
                                               cv::Size tensor, int first, int count, int scale) {
  const TensorShape input{count, model.channels, tensor.height, tensor.width};
  TensorShape output = input;
  output.height *= scale;
  output.width *= scale;
  const std::uint64_t id = ++requests_;
  const std::string json = infer_json(model, input, id);
  const std::span numbers(planes.ptr<std::uint8_t>(first * model.channels * tensor.height),
                          input.count() * size_of(model.input.type));
  HttpLimits limits;
  limits.connect = kConnect;
  limits.total = options_.timeout;
  limits.stall = std::chrono::ceil<std::chrono::seconds>(options_.timeout);
  limits.answer = largest_answer(model, output);
  auto answer = client.send(
      {HttpRequest::Method::kPost, url_ + model.infer_path(), infer_headers(json.size()), {bytes_of(json), numbers}}, limits);
  if (!answer) return make_error(ErrorCode::kDeviceFailed, "model server " + answer.error().message);
  if (!answer->ok()) {
    const bool memory = speaks_of_memory(*answer);
    return failed(memory ? ErrorCode::kOutOfDeviceMemory : ErrorCode::kDeviceFailed,
                  "failed on a batch of " + std::to_string(count) + " (" + model.name + ", " + text_of(tensor) +
                      "): " + reason_in(*answer));
  }
  const auto restored = output_in(*answer, model, output, id);
  if (!restored) return failed(restored.error().code, restored.error().message);
  const std::size_t begin = answer->body.size() - restored->size();
  return Output{*std::move(answer), begin};
}

Result<std::vector<Restored>> ModelServer::restore(const NetworkInfo& network, cv::Size tensor, std::span<const Window> windows,
                                                   const RestoreOptions& options) {
  const auto found = models_.find(network.id());
  if (found == models_.end()) return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name_);
  const ServedModel& model = found->second;
  const auto size = tensor_for(model, tensor);
  if (!size) {
    return failed(ErrorCode::kOutOfDeviceMemory, "the model " + model.name + " takes no tiles of " + text_of(tensor) +
                                                     "; with tile.size: " + std::to_string(tile_size_for(model)) + " all fit");
  }
  try {
    const cv::Mat planes = to_planes(network, model.input.type, *size, windows);
    const int places = planes.rows / (model.channels * size->height);
    const int most = model.largest_batch > 0 ? model.largest_batch : places;
    std::vector<Output> outputs;
    {
      const ComputingScope scope(options.computing);
      Borrowed client(*this);
      for (int first = 0; first < places; first += most) {
        auto output = infer(*client, model, planes, *size, first, std::min(most, places - first), network.scale);
        if (!output) return output.error();
        outputs.push_back(*std::move(output));
      }
    }
    const cv::Size restored_size = *size * network.scale;
    const std::size_t bytes_each =
        static_cast<std::size_t>(restored_size.area()) * static_cast<std::size_t>(model.channels) * size_of(model.output.type);
    const auto result_of = [&](int place) {
      const Output& output = outputs[static_cast<std::size_t>(place / most)];
      const std::size_t offset = output.begin + static_cast<std::size_t>(place % most) * bytes_each;
      return PlaceResult{output.answer.body.data() + offset, model.output.type, restored_size};
    };
    std::vector<Restored> restored;
    restored.reserve(windows.size());
    int next = 0;
    for (const Window& window : windows) {
      std::vector<PlaceResult> own;
      for (int i = 0; i < places_in_batch(network, window); ++i) own.push_back(result_of(next++));
      restored.push_back(from_planes(network, own, window));
    }
    return restored;
  } catch (const std::exception& error) {
    return failed(ErrorCode::kDeviceFailed, "a batch of " + std::to_string(windows.size()) + ": " + error.what());
  }
}

Result<Footprint> ModelServer::measure(const NetworkInfo& network, cv::Size tensor, int batch) {
  const auto found = models_.find(network.id());
  if (found == models_.end()) return make_error(ErrorCode::kInternal, "network " + network.name + " was not loaded on " + name_);
  const ServedModel& model = found->second;
  // Of a model that takes less, what it takes, and as much more of it.
  const cv::Size measured(std::min(tensor.width, model.input.width.value_or(tensor.width)),
                          std::min(tensor.height, model.input.height.value_or(tensor.height)));
  const double share = static_cast<double>(tensor.area()) / measured.area();
  cv::Mat colour(measured, CV_8UC(network.channels));
  cv::RNG(1).fill(colour, cv::RNG::UNIFORM, 64, 192);
  const std::vector<Window> windows(static_cast<std::size_t>(batch), Window{colour, {}, CV_32F});
  const auto start = std::chrono::steady_clock::now();
  if (auto restored = restore(network, measured, windows); !restored) return restored.error();
  Footprint footprint;
  footprint.time = (std::chrono::steady_clock::now() - start) * share;
  const cv::Size sent = *tensor_for(model, measured);
  const double numbers = static_cast<double>(sent.area()) * batch * model.channels;
  const double bytes = numbers * (static_cast<double>(size_of(model.input.type)) +
                                  static_cast<double>(size_of(model.output.type)) * network.scale * network.scale);
  footprint.peak = Bytes{static_cast<std::uint64_t>(bytes * share * options_.concurrency)};
  return footprint;
}

void ModelServer::give_back_memory() { PixelPool::instance().blocks().trim(); }

Result<NetworkInfo> ModelServer::describe(const std::string& network) {
  Borrowed client(*this);
  const auto model = ask(*client, model_of(network));
  if (!model) return model.error();
  return model->network();
}

Result<std::unique_ptr<ModelServer>> open_model_server(const std::string& address, const ModelServerOptions& options) {
  const std::string_view rest = std::string_view(address).substr(std::min(kScheme.size(), address.size()));
  const auto colon = rest.rfind(':');
  int port = 0;
  const bool has_port =
      colon != std::string_view::npos && colon > 0 &&
      std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), port).ptr == rest.data() + rest.size();
  const bool is_plain = std::all_of(rest.begin(), rest.end(), [](char c) {
    return c > 0x20 && c < 0x7F && std::string_view("/?#@\\\"").find(c) == std::string_view::npos;
  });
  if (!address.starts_with(kScheme) || !has_port || !is_plain || port < 1 || port > std::numeric_limits<std::uint16_t>::max())
    return make_error(ErrorCode::kBadConfig, "device: `" + address + "` is no model server; expected http://<host>:<port>");
  return std::make_unique<ModelServer>(address, options);
}

}  // namespace retouchd::inference
