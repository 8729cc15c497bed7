#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/top_layout.h"

namespace retouchd::cli {

/// Of the terminal on standard output; nullopt when it is none.
[[nodiscard]] std::optional<Extent> terminal_extent();

/// Takes the whole terminal, and gives it back as it was. Confined to one thread; nothing else may be written meanwhile.
class Screen {
 public:
  explicit Screen(Console& console);
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  /// Replaces what is shown. Without flicker: lines are overwritten, only what is left of older ones is cleared.
  void draw(const std::vector<std::string>& lines);

 private:
  Console& console_;
};

}  // namespace retouchd::cli
