#pragma once

#include <chrono>
#include <functional>

#include "base/error.h"

namespace retouchd::queue {

/// Who measures the store. Called on the store's thread: be quick, do not throw, never call back into the store. Empty functions
/// are not called.
struct StoreObserver {
  std::function<void(std::chrono::duration<double> took)> committed;  ///< one transaction and its fsync
  std::function<void(const Error& failure, bool is_lasting)> failed;  ///< lasting: nothing can be written any more, leave
};

}  // namespace retouchd::queue
