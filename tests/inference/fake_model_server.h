#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/fake_http_server.h"

namespace retouchd::inference {

/// A model server with one model "tiny" that computes something simple on [N, C, H, W], and misbehaves as a test says.
class FakeModelServer {
 public:
  using Numbers = std::vector<float>;
  using Dims = std::vector<std::int64_t>;

  /// What it says and does; a test changes it while no request is under way.
  struct Behaviour {
    std::string model = "tiny";
    std::vector<std::string> versions{"1"};
    Dims shape{-1, 3, -1, -1};         ///< of the input
    Dims output_shape{-1, 3, -1, -1};  ///< as the metadata says
    std::string type = "FP32";
    std::optional<nlohmann::json> config = nlohmann::json{{"max_batch_size", 16}};
    bool ready = true;
    int scale = 1;
    std::function<float(float)> compute = [](float number) { return 1.0F - number; };
    /// Changes the JSON part of an answer, its numbers, or all of it.
    std::function<void(nlohmann::json& description, Numbers& numbers)> spoil = {};
    std::function<std::optional<FakeHttpServer::Reply>()> instead = {};
  };

  FakeModelServer() : server_([this](const FakeHttpServer::Message& message) { return answer(message); }) {}

  Behaviour behaviour;

  [[nodiscard]] std::string url() const { return server_.url(); }
  /// Shapes of the tensors that came so far.
  [[nodiscard]] std::vector<Dims> shapes() const {
    const std::lock_guard lock(mutex_);
    return shapes_;
  }
  [[nodiscard]] std::size_t connections() const { return server_.connections(); }

 private:
  using Reply = FakeHttpServer::Reply;
  static constexpr const char* kJsonLength = "Inference-Header-Content-Length";

  static Reply json(unsigned status, const nlohmann::json& body) {
    Reply reply;
    reply.status = status;
    reply.body = body.dump();
    return reply;
  }

  Reply answer(const FakeHttpServer::Message& message) {
    const std::string path(message.target());
    const std::string model = "/v2/models/" + behaviour.model;
    const std::string version = behaviour.versions.empty() ? "" : "/versions/" + behaviour.versions.back();
    if (path == "/v2/health/ready") return json(behaviour.ready ? 200 : 503, nullptr);
    if (path == model) return json(200, metadata());
    if (path == model + "/config" && behaviour.config) return json(200, *behaviour.config);
    if (path == model + version + "/infer") return infer(message);
    return json(404, {{"error", "Request for unknown model: " + path}});
  }

  [[nodiscard]] nlohmann::json metadata() const {
    const auto tensor = [this](const char* name, const Dims& shape) {
      return nlohmann::json{{"name", name}, {"datatype", behaviour.type}, {"shape", shape}};
    };
    return {{"name", behaviour.model},
            {"versions", behaviour.versions},
            {"platform", "fake"},
            {"inputs", nlohmann::json::array({tensor("in", behaviour.shape)})},
            {"outputs", nlohmann::json::array({tensor("out", behaviour.output_shape)})}};
  }

  /// [N, C, H, W], each pixel repeated.
  [[nodiscard]] Numbers enlarged(const Numbers& numbers, Dims& dims) const {
    const std::size_t scale = static_cast<std::size_t>(behaviour.scale);
    const std::size_t width = static_cast<std::size_t>(dims.back());
    const std::size_t rows = numbers.size() / width;
    Numbers large;
    large.reserve(numbers.size() * scale * scale);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t again = 0; again < scale; ++again) {
        for (std::size_t x = 0; x < width; ++x) large.insert(large.end(), scale, numbers[row * width + x]);
      }
    }
    dims[dims.size() - 1] *= behaviour.scale;
    dims[dims.size() - 2] *= behaviour.scale;
    return large;
  }

  [[nodiscard]] bool is_half() const { return behaviour.type == "FP16"; }
  [[nodiscard]] std::size_t size_of_one() const { return is_half() ? 2 : 4; }

  [[nodiscard]] Numbers decoded(const std::string& bytes) const {
    Numbers numbers(bytes.size() / size_of_one());
    if (numbers.empty()) return numbers;
    if (!is_half()) {
      std::memcpy(numbers.data(), bytes.data(), bytes.size());
      return numbers;
    }
    cv::Mat half(1, static_cast<int>(numbers.size()), CV_16FC1);
    std::memcpy(half.data, bytes.data(), bytes.size());
    half.convertTo(cv::Mat(1, half.cols, CV_32FC1, numbers.data()), CV_32F);
    return numbers;
  }

  [[nodiscard]] std::string encoded(Numbers& numbers) const {
    if (numbers.empty()) return {};
    cv::Mat sent(1, static_cast<int>(numbers.size()), CV_32FC1, numbers.data());
    if (is_half()) sent.convertTo(sent, CV_16F);
    return {reinterpret_cast<const char*>(sent.data), numbers.size() * size_of_one()};
  }

  Reply infer(const FakeHttpServer::Message& message) {
    const auto json_size = static_cast<std::size_t>(std::stoul(std::string(message[kJsonLength])));
    const nlohmann::json request = nlohmann::json::parse(message.body().substr(0, json_size));
    auto dims = request.at("inputs").at(0).at("shape").get<Dims>();
    {
      const std::lock_guard lock(mutex_);
      shapes_.push_back(dims);
    }
    if (behaviour.instead) {
      if (auto reply = behaviour.instead()) return *reply;
    }
    const std::string bytes = message.body().substr(json_size);
    if (request.at("inputs").at(0).at("parameters").at("binary_data_size") != bytes.size())
      return json(400, {{"error", "unexpected number of bytes"}});
    Numbers numbers = decoded(bytes);
    std::transform(numbers.begin(), numbers.end(), numbers.begin(), behaviour.compute);
    numbers = enlarged(numbers, dims);
    const std::size_t size = numbers.size() * size_of_one();
    nlohmann::json description{
        {"id", request.at("id")},
        {"model_name", behaviour.model},
        {"outputs",
         {{{"name", "out"}, {"datatype", behaviour.type}, {"shape", dims}, {"parameters", {{"binary_data_size", size}}}}}}};
    if (behaviour.spoil) behaviour.spoil(description, numbers);
    Reply reply = json(200, description);
    reply.headers = {{kJsonLength, std::to_string(reply.body.size())}};
    reply.body += encoded(numbers);
    return reply;
  }

  mutable std::mutex mutex_;
  std::vector<Dims> shapes_;
  FakeHttpServer server_;
};

}  // namespace retouchd::inference
