#pragma once

#include <functional>

namespace retouchd::inference {

/// Calls RestoreOptions::computing for its life.
class ComputingScope {
 public:
  explicit ComputingScope(const std::function<void(bool)>& computing) : computing_(computing) {
    if (computing_) computing_(true);
  }
  ~ComputingScope() {
    if (computing_) computing_(false);
  }
  ComputingScope(const ComputingScope&) = delete;
  ComputingScope& operator=(const ComputingScope&) = delete;

 private:
  const std::function<void(bool)>& computing_;
};

}  // namespace retouchd::inference
