#include "intake/hook_runner.h"

#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace retouchd::intake {
namespace {

/// The command for a kind of event; empty: none.
std::string command_for(const config::Hooks& hooks, std::string_view kind) {
  if (kind == "preview") return hooks.preview;
  if (kind == "escalated") return hooks.escalated;
  if (kind == "done") return hooks.done;
  if (kind == "failed") return hooks.failed;
  if (kind == "cancelled") return hooks.cancelled;
  return {};
}

/// Meant for this process alone: what a service manager talks to it with, and what an outer hook was told.
bool is_private(std::string_view variable) {
  constexpr std::array kPrivate{"RETOUCHD_", "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_"};
  return std::any_of(kPrivate.begin(), kPrivate.end(), [variable](const char* start) { return variable.starts_with(start); });
}

/// Nothing that a log could take for a line of its own.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += " | ";
    } else {
      line += byte < 0x20 || byte == 0x7F ? '?' : c;
    }
  }
  return line;
}

}  // namespace

std::vector<std::string> hook_environment(const queue::JobEvent& event, const queue::Job* job) {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!is_private(*variable)) environment.emplace_back(*variable);
  }
  const auto set = [&environment](const char* name, std::string_view value) {
    environment.push_back(std::string("RETOUCHD_") + name + "=" + std::string(value));
  };
  const queue::Job unknown;
  const queue::Job& facts = job != nullptr ? *job : unknown;
  const queue::JobRequest& request = facts.request;
  set("EVENT", event.kind);
  set("JOB", std::to_string(event.job));
  set("SEQ", std::to_string(event.seq));
  set("NAME", request.name);
  set("ORIGIN", request.origin);
  set("SOURCE", request.spooled ? std::string() : request.source.string());  // the spool is ours
  set("OUTPUT", (facts.output.empty() ? request.output : facts.output).string());
  set("PREVIEW", facts.preview.string());
  set("NETWORK", request.network);
  set("STATE", job != nullptr ? queue::name_of(facts.state) : std::string_view());
  set("ERROR_CODE", facts.error ? facts.error->name() : std::string_view());
  set("ERROR", facts.error ? facts.error->message : std::string());
  return environment;
}

HookRunner::HookRunner(config::Hooks hooks, queue::JobStore& store, Callbacks callbacks, Options options)
    : store_(store),
      callbacks_(std::move(callbacks)),
      options_(options),
      kill_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      hooks_(std::move(hooks)) {}

HookRunner::~HookRunner() { stop(); }

void HookRunner::start() {
  for (int i = 0; i < options_.parallel; ++i) threads_.emplace_back([this] { run(); });
}

void HookRunner::stop() noexcept {
  std::size_t left = 0;
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    const auto is_done = [this] { return waiting_.empty() && running_.empty(); };
    if (!threads_.empty()) changed_.wait_for(lock, options_.grace, is_done);
    left = waiting_.size();
    waiting_.clear();
  }
  changed_.notify_all();
  if (left > 0) spdlog::warn("hooks: {} commands are not run, because retouchd stops", left);
  for (; left > 0; --left) count("dropped");
  ::eventfd_write(kill_.get(), 1);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void HookRunner::set(config::Hooks hooks) {
  const std::lock_guard lock(mutex_);
  hooks_ = std::move(hooks);
}

void HookRunner::on_events(const std::vector<queue::JobEvent>& events) noexcept {
  bool is_one_wanted = false;
  try {
    const std::lock_guard lock(mutex_);
    for (const queue::JobEvent& event : events) {
      if (stopping_ || command_for(hooks_, event.kind).empty()) continue;
      add(event);
      is_one_wanted = true;
    }
  } catch (const std::exception& error) {
    spdlog::error("hooks: {}", error.what());
  }
  if (is_one_wanted) changed_.notify_all();
}

void HookRunner::add(const queue::JobEvent& event) {
  if (waiting_.size() >= options_.capacity) {
    if (!is_overfull_) spdlog::warn("hooks: more than {} commands wait; the oldest are not run", options_.capacity);
    is_overfull_ = true;
    waiting_.pop_front();
    count("dropped");
  }
  waiting_.push_back(event);
}

std::deque<queue::JobEvent>::iterator HookRunner::next() {
  return std::find_if(waiting_.begin(), waiting_.end(), [this](const auto& event) { return !running_.contains(event.job); });
}

void HookRunner::run() {
  ::pthread_setname_np(::pthread_self(), "hook");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return next() != waiting_.end() || (stopping_ && waiting_.empty()); });
    const auto chosen = next();
    if (chosen == waiting_.end()) return;
    const queue::JobEvent event = std::move(*chosen);
    waiting_.erase(chosen);
    if (waiting_.empty()) is_overfull_ = false;
    const HookCommand command{command_for(hooks_, event.kind), {}, hooks_.timeout};
    running_.insert(event.job);
    lock.unlock();
    if (!command.text.empty()) run_one(event, command);
    lock.lock();
    running_.erase(event.job);
    changed_.notify_all();
  }
}

void HookRunner::run_one(const queue::JobEvent& event, const HookCommand& command) const {
  try {
    const auto job = store_.get(event.job);
    HookCommand complete = command;
    complete.environment = hook_environment(event, job ? &*job : nullptr);
    const HookEnd end = run_hook(complete, kill_.get());
    if (end.how != HookEnd::How::kOk)
      spdlog::warn("hook `{}` of job {}: {}{}{}", event.kind, event.job, end.reason, end.output.empty() ? "" : ": ",
                   one_line(end.output));
    count(end.how == HookEnd::How::kOk ? "ok" : end.how == HookEnd::How::kTimeout ? "timeout" : "failed");
  } catch (const std::exception& error) {
    spdlog::error("hook `{}` of job {}: {}", event.kind, event.job, error.what());
    count("failed");
  }
}

void HookRunner::count(std::string_view result) const {
  if (callbacks_.ended) callbacks_.ended(result);
}

}  // namespace retouchd::intake
