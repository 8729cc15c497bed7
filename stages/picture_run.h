#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "image/picture.h"
#include "inference/network_info.h"
#include "queue/decision.h"
#include "queue/job.h"
#include "queue/memory_ledger.h"
#include "stages/observer.h"
#include "stages/planner.h"

namespace retouchd::stages {

/// One job on its way through the pipeline, from its claim to its end.
///
/// Owner: the stage that works on it; it moves from queue to queue. Between `tile` and `merge` its tiles hold it too and only
/// read it. Its memory reservation lives as long as it does.
struct PictureRun {
  explicit PictureRun(queue::Job claimed) : job(std::move(claimed)) {}

  const queue::Job job;
  queue::MemoryLedger::Reservation memory;
  FileIdentity identity;                               ///< of the file that was decoded
  inference::NetworkInfo network;                      ///< decode
  image::Picture picture;                              ///< decode; after merge its planes are the restored ones
  cv::Mat companion;                                   ///< decode: the second picture that the network wants, or empty
  FileIdentity companion_identity;                     ///< of the second picture's file
  bool is_returned = false;                            ///< decode: the pixels are those that a cloud node sent back
  queue::Decision decision;                            ///< route, or decode from an earlier attempt: where it is restored
  cv::Mat filled;                                      ///< preview: the colours with hidden ones filled, or empty (source())
  bool wants_levels = false;                           ///< route: its full pass comes after the levels
  cv::Mat small;                                       ///< preview: the picture made small, or empty
  cv::Mat small_restored;                              ///< preview: `small` after the network
  std::optional<queue::ScoreParts> parts;              ///< score, of pictures larger than a preview
  std::string computed_as;                             ///< decode: precision and library, which results depend on
  PicturePlan plan;                                    ///< decode: how it goes through the network
  std::vector<PicturePlan> page_plans;                 ///< decode: how each of picture.pages goes
  std::optional<double> seam_ratio;                    ///< merge: seam_meter.h, where there were several tiles; of the worst page
  int resumed_tiles = 0;                               ///< tile: of an earlier attempt
  std::atomic<bool> is_tiled = false;                  ///< tile: its tiles are on their way
  std::map<std::string, double, std::less<>> seconds;  ///< what each stage took

  /// What networks see: the picture's colours, without those below full transparency.
  [[nodiscard]] const cv::Mat& source() const noexcept { return filled.empty() ? picture.colour : filled; }
  /// Of the device, for all pages; nullopt where that is not known.
  [[nodiscard]] std::optional<double> planned_seconds() const noexcept {
    if (!plan.seconds) return std::nullopt;
    double sum = *plan.seconds;
    for (const PicturePlan& page : page_plans) sum += page.seconds.value_or(0);
    return sum;
  }

  [[nodiscard]] queue::Claim claim() const noexcept { return {job.id, job.epoch}; }
  /// Where it is restored was decided in an earlier attempt, which holds.
  [[nodiscard]] bool is_settled() const noexcept { return !decision.policy.empty(); }

  /// True once the end was reported (done, failed, cancelled, handed back): what is left of the work is dropped.
  [[nodiscard]] bool is_over() const noexcept { return phase_.load() == Phase::kOver; }
  /// From here on only the owner can end the run: its result may be appearing. False when it is over already.
  [[nodiscard]] bool begin_publishing() noexcept { return move(Phase::kActive, Phase::kPublishing); }
  /// For the stage that owns the run. True for the one caller that may report the end to the store.
  [[nodiscard]] bool end() noexcept { return phase_.exchange(Phase::kOver) != Phase::kOver; }
  /// The same for anybody else (cancellation, drain); false also while the result is being published.
  [[nodiscard]] bool end_from_outside() noexcept { return move(Phase::kActive, Phase::kOver); }

 private:
  enum class Phase { kActive, kPublishing, kOver };
  bool move(Phase from, Phase to) noexcept { return phase_.compare_exchange_strong(from, to); }
  std::atomic<Phase> phase_ = Phase::kActive;
};

using RunPtr = std::shared_ptr<PictureRun>;

/// For the queues' accounts.
[[nodiscard]] inline Bytes bytes_of(const RunPtr& run) noexcept { return run->memory.bytes(); }

}  // namespace retouchd::stages
