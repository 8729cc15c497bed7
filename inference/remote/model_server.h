#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/http_client.h"
#include "inference/device.h"
#include "inference/remote/inference_protocol.h"

namespace retouchd::inference {

struct ModelServerOptions {
  /// The model that stands for every network; empty: the one of the network's name.
  std::string model = {};
  int concurrency = 2;                                ///< requests at once: one is sent while another is computed
  std::chrono::milliseconds timeout{120'000};         ///< of one request, the server's computing included
  std::optional<Precision> precision = std::nullopt;  ///< what the configuration asks for; servers compute as they were set up
};

/// A server that speaks the Open Inference Protocol (inference_protocol.h), NVIDIA Triton first, as a device. A batch of tiles is
/// one request, or several one after the other where the model takes fewer at once.
///
/// A server that is away, not ready, too slow, or answers with anything but the asked tensor is kDeviceFailed, so that its tiles
/// are computed again; load() asks anew each time, so that a server that comes back, also with another version of its models,
/// goes on. A model of fixed size takes smaller windows, padded; larger ones are kOutOfDeviceMemory, so that tiles become
/// smaller.
class ModelServer final : public Device {
 public:
  /// `url`: "http://host:port".
  ModelServer(std::string url, ModelServerOptions options);

  [[nodiscard]] std::string name() const override { return name_; }  ///< "server:host:port"
  [[nodiscard]] std::string description() const override { return "model server " + url_; }
  [[nodiscard]] int default_batch() const override { return 4; }
  [[nodiscard]] int concurrency() const override { return options_.concurrency; }
  [[nodiscard]] int compute_lanes() const override { return 1; }
  [[nodiscard]] bool computes_together() const override { return true; }
  /// Asks whether the server is ready, and for the model. kDeviceFailed; kBadWeights when it has no such model, or one that does
  /// not fit the network.
  [[nodiscard]] Result<void> load(const NetworkInfo& network) override;
  /// Numbers travel as the model takes them; what it does with them is its own affair.
  [[nodiscard]] PrecisionChoice precision_for(const NetworkInfo& network) const override;
  /// RestoreOptions::plain and ::urgent change nothing.
  [[nodiscard]] Result<std::vector<Restored>> restore(const NetworkInfo& network, cv::Size tensor,
                                                      std::span<const Window> windows,
                                                      const RestoreOptions& options = {}) override;
  /// The memory is that of this process, for as many requests as are sent at once.
  [[nodiscard]] Result<Footprint> measure(const NetworkInfo& network, cv::Size tensor, int batch) override;
  [[nodiscard]] std::optional<Bytes> memory() const override { return std::nullopt; }
  void give_back_memory() override;

  /// The model that stands for a network of that name, as a network of its own: for networks that only the server has. From any
  /// thread. Errors as load()'s.
  [[nodiscard]] Result<NetworkInfo> describe(const std::string& network);

 private:
  /// A client for one call, kept for the next one after it.
  class Borrowed;

  [[nodiscard]] std::string model_of(const std::string& network) const {
    return options_.model.empty() ? network : options_.model;
  }
  [[nodiscard]] Result<HttpAnswer> get(HttpClient& client, const std::string& path) const;
  [[nodiscard]] Result<ServedModel> ask(HttpClient& client, const std::string& name) const;
  /// Sends places [first, first + count) of `planes`; the whole answer and where its numbers begin.
  struct Output;
  [[nodiscard]] Result<Output> infer(HttpClient& client, const ServedModel& model, const cv::Mat& planes, cv::Size tensor,
                                     int first, int count, int scale);
  [[nodiscard]] Error failed(ErrorCode code, const std::string& reason) const;

  const std::string url_;
  const std::string name_;
  const ModelServerOptions options_;
  std::map<std::string, ServedModel> models_;  ///< by NetworkInfo::id(); changed by load() only
  std::atomic<std::uint64_t> requests_ = 0;
  std::mutex mutex_;  // guards clients_
  std::vector<HttpClient> clients_;
};

/// Opens nothing yet: the server may come later. kBadConfig when `address` is not of the form http://host:port.
[[nodiscard]] Result<std::unique_ptr<ModelServer>> open_model_server(const std::string& address,
                                                                     const ModelServerOptions& options = {});

}  // namespace retouchd::inference
