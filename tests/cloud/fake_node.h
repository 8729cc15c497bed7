#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

namespace retouchd::cloud {

/// A node as docs/protocol.md describes it, on a thread of its own, that keeps everything it was sent. A test meddles with what
/// it answers.
class FakeNode {
 public:
  struct Reply {
    nlohmann::json body;
    std::string content;
  };
  /// Looks at a request and the reply that an honest node would send (nullopt: none), and may change it. Runs on the node's
  /// thread after the request took effect.
  using Meddler = std::function<void(const nlohmann::json& request, std::optional<Reply>& reply)>;

  /// Binds ipc://<file>.
  explicit FakeNode(const std::string& file);
  ~FakeNode();
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  [[nodiscard]] std::string endpoint() const { return endpoint_; }

  void meddle(Meddler meddler);
  /// What the node makes of a picture; the default gives it back as it came.
  void restore_by(std::function<std::string(const std::string&)> restore);
  /// Jobs answer "running" so often before they are done.
  void set_polls(int polls);

  void finish();  ///< all jobs are done now
  void forget_uploads();
  void forget_jobs();

  /// So many requests of this kind came.
  [[nodiscard]] int count(const std::string& op) const;
  /// All that came, requests and bytes, one after the other.
  [[nodiscard]] std::string received() const;
  [[nodiscard]] std::vector<nlohmann::json> requests(const std::string& op) const;
  [[nodiscard]] std::uint64_t uploaded() const;           ///< bytes in upload frames
  [[nodiscard]] int restored() const;                     ///< pictures, each key once
  [[nodiscard]] std::vector<std::string> states() const;  ///< of all jobs

  static Reply failure(const std::string& code, const std::string& message = "no");

 private:
  struct Job {
    std::string key;
    std::string result;
    std::string state = "running";
    int polls = 0;
  };

  void serve();
  void answer(std::vector<zmq::message_t>& frames);
  [[nodiscard]] Reply act(const nlohmann::json& request, const std::string& content);
  [[nodiscard]] Reply upload(const nlohmann::json& request, const std::string& content);
  [[nodiscard]] Reply submit(const nlohmann::json& request);
  [[nodiscard]] Reply status(const nlohmann::json& request);
  [[nodiscard]] Reply fetch(const nlohmann::json& request);

  std::string endpoint_;
  zmq::context_t context_{1};
  zmq::socket_t socket_{context_, zmq::socket_type::router};
  mutable std::mutex mutex_;  ///< of all below
  Meddler meddler_;
  std::function<std::string(const std::string&)> restore_ = [](const std::string& picture) { return picture; };
  int polls_ = 1;
  std::map<std::string, std::string> uploads_;
  std::map<std::int64_t, Job> jobs_;
  std::int64_t next_job_ = 100;
  int restored_ = 0;
  std::vector<nlohmann::json> requests_;
  std::string received_;
  std::uint64_t uploaded_ = 0;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

/// Of text.
std::string sha256_of(const std::string& text);

}  // namespace retouchd::cloud
