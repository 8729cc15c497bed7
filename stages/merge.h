#pragma once

#include <string_view>

#include "base/result.h"
#include "stages/infer.h"
#include "stages/observer.h"

namespace retouchd::stages {

/// Restored tile -> its place on the picture's canvas; the last one sends the picture on.
/// Threads: process() from several at once.
class Merge {
 public:
  static constexpr std::string_view kName = "merge";

  explicit Merge(PipelineObserver& observer) : observer_(observer) {}

  void process(const RestoredTile& tile);

 private:
  PipelineObserver& observer_;
};

}  // namespace retouchd::stages
