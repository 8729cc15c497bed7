#include "cli/top_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "cli/interrupt.h"
#include "cli/outcome.h"
#include "cli/screen.h"
#include "cli/top_layout.h"

namespace retouchd::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::chrono::milliseconds kTick{50};
// A request that was under way when the daemon was restarted gets no reply.
constexpr std::chrono::milliseconds kAskAgain{2'000};

/// What is shown, wherever it goes.
class View {
 public:
  View(const Arguments& arguments, Console& console) : console_(console) {
    if (!arguments.once && console.live() && terminal_extent()) screen_.emplace(console);
  }

  [[nodiscard]] bool goes_on() const { return screen_.has_value() || console_.json(); }

  void show(json stats) {
    for (const char* field : {"id", "ok", "v"}) stats.erase(field);
    stats_ = std::move(stats);
    if (console_.json()) return console_.object(stats_);
    if (screen_) return draw();
    for (const std::string& line : top_lines(stats_, {})) console_.line(line);
  }

  /// Draws again when the terminal has another size now.
  void adapt() {
    if (screen_ && !stats_.is_null() && terminal_extent() != drawn_) draw();
  }

  int stop(const Error& error) {
    screen_.reset();  // else the reason would go with it
    console_.complain(error);
    return traits_of(error.code).exit_code;
  }

 private:
  void draw() {
    drawn_ = terminal_extent();
    screen_->draw(top_lines(stats_, drawn_.value_or(Extent{80, 24})));
  }

  Console& console_;
  std::optional<Screen> screen_;
  std::optional<Extent> drawn_;
  json stats_;
};

}  // namespace

int top_command(const Arguments& arguments, Connection& connection, Console& console) {
  View view(arguments, console);
  const auto interval = std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(arguments.interval_s));
  auto asked = SteadyClock::time_point{};
  auto ask_at = SteadyClock::now();
  auto answered = ask_at;
  for (std::int64_t number = 1;;) {
    if (is_interrupted()) return kExitInterrupted;
    const auto now = SteadyClock::now();
    if (now - answered > kPatience + interval)
      return view.stop(make_error(ErrorCode::kUnreachable, "the daemon has stopped answering"));
    if (now >= ask_at) {
      if (auto sent = connection.client().send({fmt::format("top-{}", number++), wire::Stats{}}); !sent)
        return view.stop(sent.error());
      asked = now;
      ask_at = now + std::max<SteadyClock::duration>(interval, kAskAgain);
    }
    const auto incoming = connection.client().next(kTick);
    if (const auto* reply = std::get_if<wire::Reply>(&incoming)) {
      if (reply->error) return view.stop(*reply->error);
      view.show(reply->body);
      if (arguments.once || !view.goes_on()) return 0;
      answered = SteadyClock::now();
      ask_at = asked + interval;
    }
    view.adapt();
  }
}

}  // namespace retouchd::cli
