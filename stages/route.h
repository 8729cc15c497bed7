#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "queue/job_store.h"
#include "stages/observer.h"
#include "stages/outcomes.h"
#include "stages/picture_run.h"
#include "stages/route_policy.h"
#include "stages/settings.h"

namespace retouchd::stages {

/// Decides where a picture is restored (route_policy.h), stores that with the job, and acts on it: hands an escalated picture
/// over to the store, which ends the run; makes the restored preview the result where that is enough; plans tiles for a model
/// server. What an earlier attempt decided holds. Threads: process() from several at once for different runs.
class Route {
 public:
  static constexpr std::string_view kName = "route";

  /// Prepares a run for the model server: its network there, its tiles.
  using PlanForServer = std::function<Result<void>(PictureRun&)>;

  /// `node`: nullopt: there is none.
  Route(const SettingsCell& settings, std::optional<Node> node, PlanForServer plan_for_server, queue::JobStore& store,
        PipelineObserver& observer, Outcomes& outcomes)
      : settings_(settings),
        node_(std::move(node)),
        plan_for_server_(std::move(plan_for_server)),
        store_(store),
        observer_(observer),
        outcomes_(outcomes) {}

  [[nodiscard]] Result<void> process(const RunPtr& run);

  /// The result is `restored`, which was made of a smaller copy, enlarged to the size of the full pass.
  static void enlarge(PictureRun& run, const cv::Mat& restored);

 private:
  [[nodiscard]] bool may_skip(const PictureRun& run, const Settings& settings);
  void note_skipped(bool skipped);
  [[nodiscard]] Result<void> follow(PictureRun& run, const Settings& settings);
  [[nodiscard]] Result<void> go_to_server(PictureRun& run, const Settings& settings);

  const SettingsCell& settings_;
  const std::optional<Node> node_;
  const PlanForServer plan_for_server_;
  queue::JobStore& store_;
  PipelineObserver& observer_;
  Outcomes& outcomes_;

  std::mutex mutex_;         // guards what follows
  std::deque<bool> recent_;  ///< whether the last pictures that could be skipped were
  int skipped_ = 0;          ///< of them
};

}  // namespace retouchd::stages
