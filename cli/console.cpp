#include "cli/console.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "intake/wire/reply.h"

namespace retouchd::cli {

void Console::line(std::string_view text) {
  hide_footer();
  out_ << text << '\n' << std::flush;
  show_footer();
}

void Console::object(const nlohmann::json& value) { line(wire::dump(value)); }

void Console::complain(const Error& error, std::string_view subject) {
  explain(error, subject);
  if (!json_) return;
  nlohmann::json told{{"error", wire::error_to_json(error)}};
  if (!subject.empty()) told["subject"] = subject;
  object(told);
}

void Console::explain(const Error& error, std::string_view subject) {
  hide_footer();
  err_ << "retouch: ";
  if (!subject.empty()) err_ << subject << ": ";
  err_ << error.message << "\n  " << error.remedy() << '\n' << std::flush;
  show_footer();
}

void Console::note(std::string_view text) {
  hide_footer();
  err_ << "retouch: " << text << '\n' << std::flush;
  show_footer();
}

void Console::text(std::string_view text) { out_ << text << std::flush; }

void Console::usage(std::string_view text) { err_ << "retouch: " << text << std::flush; }

void Console::set_footer(std::string text) {
  if (!live() || text == footer_) return;
  hide_footer();
  footer_ = std::move(text);
  show_footer();
}

void Console::hide_footer() {
  if (footer_.empty()) return;
  // Up to the footer's first line, then clear to the end of the screen.
  err_ << "\x1b[" << std::count(footer_.begin(), footer_.end(), '\n') << "A\r\x1b[J" << std::flush;
}

void Console::show_footer() {
  if (!footer_.empty()) err_ << footer_ << std::flush;
}

}  // namespace retouchd::cli
