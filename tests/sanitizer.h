#pragma once

namespace retouchd {

/// A sanitizer takes memory of its own, and ends a process that crashes in its own way.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace retouchd
