#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace retouchd::cli {

/// Which part of a text stays when it is too long.
enum class Keep { kBeginning, kEnd };

/// Columns of a terminal that a UTF-8 text takes: two for wide letters (CJK, most emoji), none for combining ones.
[[nodiscard]] std::size_t cells(std::string_view text);

/// The text in exactly `width` columns: filled with spaces, or cut with "..." where it was cut. Control characters, which would
/// move the cursor, become '?'; so do bytes that are not UTF-8.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t width, Keep keep = Keep::kBeginning);

}  // namespace retouchd::cli
