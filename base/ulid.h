#pragma once

#include <string>

#include "base/clock.h"

namespace retouchd {

/// A new ULID: 48 bits of `now` and 80 random ones from the system, as 26 characters of Crockford's base 32. Sorts as text by
/// time; within this process also in the order of the calls, except when `now` goes back. Threads: safe.
/// Throws std::system_error when the system has no random bytes. Format: https://github.com/ulid/spec
[[nodiscard]] std::string new_ulid(UnixMillis now);

}  // namespace retouchd
