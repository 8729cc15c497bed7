#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <opencv2/core.hpp>
#include <optional>
#include <string>
#include <vector>

#include "inference/device.h"
#include "inference/full_scale.h"

namespace retouchd {

/// Returns every window as it is. Can be told to fail, to give wrong numbers, or to hold its batches until released.
/// Threads: safe.
class MirrorDevice final : public inference::Device {
 public:
  /// What happens to one call of restore(); the first ones are taken from the plan, the rest succeed.
  enum class Fate { kFine, kOutOfMemory, kFails, kNaN, kConstant, kRange };

  struct Shape {
    int batch = 4;
    int concurrency = 1;
    bool together = true;
    double most_pixels = std::numeric_limits<double>::infinity();  ///< of a call; more is out of memory
  };

  explicit MirrorDevice(std::string name = "mirror") : MirrorDevice(std::move(name), Shape()) {}
  MirrorDevice(std::string name, Shape shape) : name_(std::move(name)), shape_(shape) {}

  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] std::string description() const override { return "a mirror named " + name_; }
  [[nodiscard]] int default_batch() const override { return shape_.batch; }
  [[nodiscard]] int concurrency() const override { return shape_.concurrency; }
  [[nodiscard]] int compute_lanes() const override { return shape_.together ? 1 : shape_.concurrency; }
  [[nodiscard]] bool computes_together() const override { return shape_.together; }
  [[nodiscard]] Result<void> load(const inference::NetworkInfo&) override { return {}; }
  [[nodiscard]] inference::PrecisionChoice precision_for(const inference::NetworkInfo&) const override { return {}; }
  [[nodiscard]] std::optional<Bytes> memory() const override { return std::nullopt; }
  void give_back_memory() override {
    const std::lock_guard lock(mutex_);
    ++given_back_;
    changed_.notify_all();
  }

  [[nodiscard]] Result<inference::Footprint> measure(const inference::NetworkInfo&, cv::Size, int) override {
    const std::lock_guard lock(mutex_);
    ++probes_;
    changed_.notify_all();
    if (lost_) return make_error(*lost_, name_ + " is lost");
    return inference::Footprint{};
  }

  [[nodiscard]] Result<std::vector<inference::Restored>> restore(const inference::NetworkInfo&, cv::Size tensor,
                                                                 std::span<const inference::Window> windows,
                                                                 const inference::RestoreOptions& options) override {
    std::unique_lock lock(mutex_);
    if (options.computing) options.computing(true);
    if (sizes_.size() == hold_after_) held_ = true;
    busy_ = held_;
    sizes_.push_back(windows.size());
    tensors_.push_back(tensor);
    changed_.notify_all();
    changed_.wait(lock, [this] { return !held_; });
    const Fate fate = options.plain ? plain_fate_ : lost_ ? Fate::kFails : next_fate(tensor, windows.size());
    if (options.plain) ++plain_calls_;
    if (options.computing) options.computing(false);
    if (fate == Fate::kFails) return make_error(ErrorCode::kDeviceFailed, "the mirror broke");
    if (fate == Fate::kOutOfMemory) return make_error(ErrorCode::kOutOfDeviceMemory, "the mirror is full");
    std::vector<inference::Restored> restored;
    for (const inference::Window& window : windows) restored.push_back(mirrored(window, fate));
    return restored;
  }

  void plan(std::initializer_list<Fate> fates) {
    const std::lock_guard lock(mutex_);
    fates_.insert(fates_.end(), fates);
  }
  void plan(int calls, Fate fate) {
    const std::lock_guard lock(mutex_);
    fates_.insert(fates_.end(), static_cast<std::size_t>(calls), fate);
  }
  /// Of calls on the plain path.
  void plan_plain(Fate fate) {
    const std::lock_guard lock(mutex_);
    plain_fate_ = fate;
  }
  /// Every call fails, and every probe with `code`.
  void lose(bool lost, ErrorCode code = ErrorCode::kDeviceFailed) {
    const std::lock_guard lock(mutex_);
    lost_ = lost ? std::optional(code) : std::nullopt;
  }
  /// Calls wait after so many, until release().
  void hold(std::size_t after = 0) {
    const std::lock_guard lock(mutex_);
    hold_after_ = after;
    busy_ = false;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    hold_after_ = std::numeric_limits<std::size_t>::max();
    held_ = false;
    changed_.notify_all();
  }
  /// A call is held.
  void wait_until_busy() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return busy_; });
  }
  void wait_for_probes(int probes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return probes_ >= probes; });
  }
  void wait_until_memory_was_given_back() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return given_back_ > 0; });
  }
  /// Windows of each call so far.
  [[nodiscard]] std::vector<std::size_t> sizes() const {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }
  [[nodiscard]] std::vector<cv::Size> tensors() const {
    const std::lock_guard lock(mutex_);
    return tensors_;
  }
  [[nodiscard]] int plain_calls() const {
    const std::lock_guard lock(mutex_);
    return plain_calls_;
  }

 private:
  Fate next_fate(cv::Size tensor, std::size_t windows) {
    if (static_cast<double>(tensor.area()) * static_cast<double>(windows) > shape_.most_pixels) return Fate::kOutOfMemory;
    if (fates_.empty()) return Fate::kFine;
    const Fate fate = fates_.front();
    fates_.pop_front();
    return fate;
  }

  static inference::Restored mirrored(const inference::Window& window, Fate fate) {
    using inference::full_scale;
    inference::Restored restored;
    window.colour.convertTo(restored.pixels, window.depth, full_scale(window.depth) / full_scale(window.colour.depth()));
    restored.values = {true, 0.0F, 1.0F};
    if (fate == Fate::kNaN) restored.values.is_finite = false;
    if (fate == Fate::kRange) restored.values.most = 1000.0F;
    if (fate == Fate::kConstant) restored.values = {true, 0.5F, 0.5F};
    if (fate != Fate::kFine) restored.pixels.setTo(cv::Scalar::all(0));
    return restored;
  }

  const std::string name_;
  const Shape shape_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Fate> fates_;
  Fate plain_fate_ = Fate::kFine;
  std::vector<std::size_t> sizes_;
  std::vector<cv::Size> tensors_;
  std::size_t hold_after_ = std::numeric_limits<std::size_t>::max();
  bool held_ = false;
  bool busy_ = false;
  std::optional<ErrorCode> lost_;
  int probes_ = 0;
  int plain_calls_ = 0;
  int given_back_ = 0;
};

}  // namespace retouchd
