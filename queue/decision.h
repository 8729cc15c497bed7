#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace retouchd::queue {

/// Where a picture gets its result.
enum class Route {
  kLocal,    ///< the full pass here
  kPreview,  ///< the preview itself: that is all that was asked for
  kLevel,    ///< a pass over a smaller copy, enlarged: it lost too little to go on, or there was no better way
  kCloud,    ///< another retouchd
  kServer,   ///< a model server, tile by tile
  kSkip,     ///< untouched: restoration would hardly improve it
};

[[nodiscard]] std::string_view name_of(Route route) noexcept;  ///< "local", "preview", "level", "cloud", "server", "skip"
[[nodiscard]] std::optional<Route> route_from_name(std::string_view name) noexcept;

/// What was measured on a picture and its preview.
struct ScoreParts {
  double mean_db = 0;                      ///< predicted PSNR of the enlarged preview against the full pass
  double worst_db = 0;                     ///< the same in the worst tenth of its blocks
  double noise_sigma = 0;                  ///< of 8-bit values
  double laplacian = 0;                    ///< variance of the Laplacian, for comparison
  std::optional<double> consistency_db{};  ///< how well the restored preview agrees with the original made as small
  std::optional<double> gain{};            ///< probability that restoration improves it visibly, 0..1

  friend bool operator==(const ScoreParts&, const ScoreParts&) = default;
};

/// Where a job is restored, and why: what `retouch explain` tells. Stored with the job.
struct Decision {
  std::string policy;  ///< "local", "hybrid", "progressive"
  Route route = Route::kLocal;
  /// Why, in one word for counting. At first: "policy" (that is what was asked for), "small" (no larger than a preview), "pair",
  /// "above_threshold", "below_threshold", "inconsistent" (the preview shows something else), "good_enough", "all_levels" (no
  /// level was), "already_good". Of a fallback: "over_budget", "node_away", "deadline", "timeout", "refused", "bad_answer",
  /// "disk", "source_changed".
  std::string code;
  std::string reason;             ///< why, for people: a clause without its full stop
  std::optional<double> score{};  ///< 0..1, 1: the preview lost nothing
  std::optional<double> threshold{};
  bool is_calibrated = false;  ///< with the user's own pictures
  std::optional<ScoreParts> parts{};
  double level_megapixels = 0;            ///< kLevel, kPreview: size of what went through the network
  std::string node;                       ///< kCloud, kServer: its address
  std::string fallback;                   ///< what was done instead of escalating: "local_full", "local_preview"; else empty
  int escalations = 0;                    ///< how often it was sent away
  std::optional<double> local_seconds{};  ///< of a picture that is sent away: what restoring it here would take

  friend bool operator==(const Decision&, const Decision&) = default;
};

/// Nobody else restores it after all: here in full (kLocal), or from a smaller copy (kLevel, whose size the caller knows). The
/// reason goes on with `why`, or begins with it.
void fall_back(Decision& decision, Route route, std::string_view code, const std::string& why);

/// A JSON object; fields without a value are left out.
[[nodiscard]] std::string to_text(const Decision& decision);
/// kStoreFailed when it is none.
[[nodiscard]] Result<Decision> decision_from_text(std::string_view text);

}  // namespace retouchd::queue
