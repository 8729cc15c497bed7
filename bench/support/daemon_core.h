#pragma once

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <opencv2/core/types.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bench/support/meter.h"
#include "daemon/engine.h"
#include "daemon/pipeline.h"

namespace retouchd::bench {

/// A folder that goes with its owner, below $TMPDIR.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// The configuration of a benchmark: `overrides` are KEY=VALUE as with `retouchd --set`. Ends the program with a message when
/// they make no sense.
[[nodiscard]] config::Config configuration(const std::filesystem::path& state, const std::vector<std::string>& overrides);

/// The daemon without its intake: job store, devices and pipeline of a configuration.
/// Confined to one thread, except that the pipeline's own threads call in.
class DaemonCore {
 public:
  explicit DaemonCore(const config::Config& config);
  ~DaemonCore();

  queue::JobId submit(const std::filesystem::path& source, const std::filesystem::path& output, const std::string& client,
                      bool preview = false);
  /// Seconds from the acceptance of the job to its first event of that kind; waits for it. Ends the program when the job fails.
  double wait_for(queue::JobId job, const std::string& kind);
  /// Seconds from acceptance to that event, if it has come.
  [[nodiscard]] std::optional<double> seconds_to(queue::JobId job, const std::string& kind) const;
  /// Jobs in the order in which they were done.
  [[nodiscard]] std::vector<queue::JobId> done() const;
  [[nodiscard]] std::int64_t queued() const;

  Meter& meter() noexcept { return meter_; }
  daemon::Engine& engine() noexcept { return engine_; }

 private:
  using Moment = std::chrono::steady_clock::time_point;

  const std::string network_;
  daemon::Engine engine_;
  Meter meter_;
  std::unique_ptr<queue::JobStore> store_;
  std::unique_ptr<daemon::Pipeline> pipeline_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<queue::JobId, std::map<std::string, Moment>> events_;
  std::vector<queue::JobId> done_;
};

/// What main() begins with: as `retouchd` does, but only warnings and errors are logged, to standard error.
void begin(char** argv);

/// The object on one line, or indented for people.
void print_report(const nlohmann::json& report, bool json);

/// Ends the program with the error's message and remedy.
[[noreturn]] void give_up(const Error& error);

/// Writes `size` pixels of the sample photographs, mirrored as often as they must be, with noise: `seed` makes them differ.
void write_picture(const std::filesystem::path& file, cv::Size size, int seed);

/// CPU seconds of the threads that live now, by their names ("infer", "decode", ...; the program's own for the rest).
[[nodiscard]] std::map<std::string, double> cpu_seconds_by_thread();

}  // namespace retouchd::bench
