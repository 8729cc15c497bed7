#include "queue/job.h"

#include <algorithm>
#include <array>

namespace retouchd::queue {
namespace {

constexpr std::array<std::string_view, 7> kStateNames{"queued", "running",   "publishing", "done",
                                                      "failed", "cancelled", "escalated"};

}  // namespace

std::string_view name_of(JobState state) noexcept { return kStateNames[static_cast<std::size_t>(state)]; }

std::optional<JobState> job_state_from_name(std::string_view name) noexcept {
  const auto* found = std::find(kStateNames.begin(), kStateNames.end(), name);
  if (found == kStateNames.end()) return std::nullopt;
  return static_cast<JobState>(found - kStateNames.begin());
}

}  // namespace retouchd::queue
