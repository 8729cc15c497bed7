#include "cli/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace retouchd::cli {

std::optional<Extent> terminal_extent() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) != 1) return std::nullopt;
  // Serial lines and some editors do not know their size.
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return Extent{80, 24};
  return Extent{size.ws_col, size.ws_row};
}

// The alternate screen, and the cursor hidden.
Screen::Screen(Console& console) : console_(console) { console_.text("\x1b[?1049h\x1b[?25l\x1b[2J"); }

Screen::~Screen() { console_.text("\x1b[?25h\x1b[?1049l"); }

void Screen::draw(const std::vector<std::string>& lines) {
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) text += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
  console_.text(text + "\x1b[J");
}

}  // namespace retouchd::cli
