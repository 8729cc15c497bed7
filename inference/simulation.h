#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd::inference {

/// Something that goes wrong on a simulated device.
struct Fault {
  enum class Kind {
    kOutOfMemory,  ///< a call: kOutOfDeviceMemory
    kLost,         ///< calls: kDeviceFailed
    kNotFinite,    ///< a tile: NaN in its result
    kConstant,     ///< a tile: one colour
    kRange,        ///< a tile: numbers far outside [0, 1]
  };
  Kind kind = Kind::kOutOfMemory;
  std::uint64_t at = 0;     ///< the first call or tile that it befalls, counted from 1; 0: any, by `share`
  std::uint64_t count = 1;  ///< how many in a row
  double share = 0;         ///< probability, by Simulation::seed
};

/// How a simulated device behaves, as "rate=500 batch_gain=4 copy=0.2ms memory=8GiB fault=oom@3".
///
/// A batch of u = windows * width * height / 512^2 units computes for
///
///     time(u) = a + b * u   with   time(16) = 16 / rate   and   time(1) = batch_gain / rate,
///
/// as a device does that small batches do not fill: full batches give `batch_gain` times the tiles a second that single ones
/// give (so a full batch takes batch_cost = 16 / batch_gain times as long as a single tile).
struct Simulation {
  using Seconds = std::chrono::duration<double>;

  double rate = 500;              ///< rate=R: tiles of 512x512 a second in batches of 16
  double batch_gain = 4;          ///< batch_gain=G, or batch_cost=16/G: 1 ... 16
  Seconds copy{0.0005};           ///< copy=T (us, ms, s): of an upload, and of a download, whatever the batch
  Bytes memory = gibibytes(16);   ///< memory=SIZE (KiB, MiB, GiB): of the device
  double bytes_per_pixel = 1000;  ///< bytes_per_pixel=B: what a batch takes of it for each computed pixel
  /// fault=KIND@N, or fault=KIND@N+K: call (oom, lost) or tile (nan, constant, range) number N, or K from N on.
  /// fault=KIND%P: P percent of them. Any number of faults.
  std::vector<Fault> faults;
  std::uint64_t seed = 1;  ///< seed=S

  [[nodiscard]] Seconds computing(double units) const noexcept;
};

/// kBadConfig names the word that makes no sense. An empty text is the default.
[[nodiscard]] Result<Simulation> parse_simulation(std::string_view text);

}  // namespace retouchd::inference
