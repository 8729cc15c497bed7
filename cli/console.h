#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace retouchd::cli {

/// Where answers (`out`) and complaints (`err`) go. Confined to one thread.
class Console {
 public:
  Console(std::ostream& out, std::ostream& err, bool live) : out_(out), err_(err), live_(live) {}

  void use_json(bool json) noexcept { json_ = json; }
  [[nodiscard]] bool json() const noexcept { return json_; }
  /// True when progress bars may be drawn on `err`: a terminal, and nobody asked for JSON.
  [[nodiscard]] bool live() const noexcept { return live_ && !json_; }

  /// One line on `out`.
  void line(std::string_view text);
  /// One JSON object in one line on `out`.
  void object(const nlohmann::json& value);

  /// Reason and remedy on `err`; `subject` (a file, a job) may be empty. With JSON also {"error": ..., "subject": ...} on `out`.
  void complain(const Error& error, std::string_view subject = {});
  /// The same without the JSON, for what another object has told already.
  void explain(const Error& error, std::string_view subject = {});
  /// One line on `err`.
  void note(std::string_view text);
  /// Help on `out`, usage errors on `err`, as they are.
  void text(std::string_view text);
  void usage(std::string_view text);

  /// Text that stays at the bottom of a live console until it is replaced. Lines written meanwhile go above it.
  void set_footer(std::string text);

 private:
  void hide_footer();
  void show_footer();

  std::ostream& out_;
  std::ostream& err_;
  bool live_;
  bool json_ = false;
  std::string footer_;
};

}  // namespace retouchd::cli
