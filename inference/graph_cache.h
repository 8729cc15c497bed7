#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "inference/graph_backend.h"

namespace retouchd::inference {

/// Replays the forward passes that recur, and decides which those are: a GPU computes a batch in hundreds of kernels, and
/// starting them one by one can take longer than small ones compute.
///
///     runs of one network and shape    1       2       3                          4        5
///                                      eager   eager   eager, recorded, compared  replay   replay
///
/// * Recording follows a run on the same thread, whose result counts: whatever goes wrong costs time, never a batch.
/// * A recorded pass whose result differs from the run's is thrown away.
/// * Passes are few. A new one takes the place of the one that is used least recently, but only if that one idles.
/// * A network that cannot be recorded (it waits for the device, or asks it for numbers) runs eagerly from then on.
/// * Memory goes first: see give_up().
///
/// Threads: one at a time, on whichever stream computes; held() from any.
class GraphCache {
 public:
  struct Limits {
    int runs = 3;                  ///< of a shape before it is recorded, the last one included
    std::size_t passes = 8;        ///< recorded at the same time
    std::uint64_t idle_runs = 64;  ///< runs of anything after which one that was not used may go
    std::size_t shapes = 256;      ///< remembered, recorded or not
    double tolerance = 1e-3;       ///< between a run and its replay, of the largest number in it
  };

  /// `device`: for the log.
  GraphCache(std::string device, std::unique_ptr<GraphBackend> backend, const Limits& limits);
  GraphCache(std::string device, std::unique_ptr<GraphBackend> backend)
      : GraphCache(std::move(device), std::move(backend), Limits{}) {}

  /// forward(input), by whichever way. The result is nobody else's memory. Throws what `forward` throws.
  [[nodiscard]] at::Tensor run(const std::string& network, const at::Tensor& input, const Forward& forward);

  /// Drops what was recorded of a network (NetworkInfo::id()): its weights are about to go.
  void forget(const std::string& network);

  /// Drops everything that was recorded. It is recorded again when it recurs.
  void release();

  /// Drops everything, and records nothing any more: memory ran out, and what runs eagerly needs less of it. Logs `reason` once.
  void give_up(const std::string& reason);

  /// Device memory that recorded passes take.
  [[nodiscard]] Bytes held() const noexcept { return Bytes{held_.load(std::memory_order_relaxed)}; }

 private:
  struct Shape {
    std::string network;
    std::vector<std::int64_t> sizes;
    int runs = 0;
    std::uint64_t last_used = 0;
    std::unique_ptr<RecordedForward> recorded;
  };

  [[nodiscard]] Shape& shape_of(const std::string& network, const at::Tensor& input);
  /// Whether there is room for one more recorded pass, or was made.
  [[nodiscard]] bool make_room();
  void record(Shape& shape, const at::Tensor& input, const at::Tensor& result, const Forward& forward);
  void refuse(std::string network, const std::string& reason);
  void count_held() noexcept;

  const std::string device_;
  const std::unique_ptr<GraphBackend> backend_;
  const Limits limits_;
  std::list<Shape> shapes_;  ///< used most recently first
  std::set<std::string> refused_;
  std::uint64_t clock_ = 0;  ///< runs so far
  bool gave_up_ = false;
  std::atomic<std::uint64_t> held_ = 0;
};

}  // namespace retouchd::inference
