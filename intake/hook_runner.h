#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/file.h"
#include "config/config.h"
#include "intake/hook_command.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// The environment of a hook: this process's without what is meant for it alone, and RETOUCHD_EVENT, _JOB, _SEQ, _NAME, _ORIGIN,
/// _SOURCE, _OUTPUT, _PREVIEW, _NETWORK, _STATE, _ERROR_CODE, _ERROR; empty where there is nothing to tell. Names and messages
/// come from outside: they are values here and never become part of a command. `job`: null when it was forgotten.
[[nodiscard]] std::vector<std::string> hook_environment(const queue::JobEvent& event, const queue::Job* job);

/// Runs the user's commands when something happened to a job (config::Hooks): a few at once, those of one job one after the other
/// in the order of its events. Best effort: what waits or runs when the process dies, and the oldest of more than `capacity` that
/// wait, is not run. A command that fails is logged with what it wrote.
///
/// Threads: on_events() and set() are safe; start() and stop() belong to the owner.
class HookRunner {
 public:
  struct Options {
    std::size_t capacity = 10'000;
    int parallel = 2;
    std::chrono::milliseconds grace{5'000};  ///< stop() lets what waits and runs go on for so long, then kills
  };
  struct Callbacks {
    std::function<void(std::string_view result)> ended;  ///< "ok", "failed", "timeout" or "dropped", from any thread
  };

  /// `store` must be there until stop() has returned; on_events() may still be called then.
  HookRunner(config::Hooks hooks, queue::JobStore& store, Callbacks callbacks)
      : HookRunner(std::move(hooks), store, callbacks, Options()) {}
  HookRunner(config::Hooks hooks, queue::JobStore& store, Callbacks callbacks, Options options);
  ~HookRunner();

  void start();
  /// Takes nothing more and ends what is there, see Options::grace. Again is harmless.
  void stop() noexcept;

  /// From the store's listener. Never blocks.
  void on_events(const std::vector<queue::JobEvent>& events) noexcept;

  /// Other commands and timeout, from the next one that is started on.
  void set(config::Hooks hooks);

 private:
  void add(const queue::JobEvent& event);  // with mutex_ held
  void run();
  void run_one(const queue::JobEvent& event, const HookCommand& command) const;
  [[nodiscard]] std::deque<queue::JobEvent>::iterator next();  // with mutex_ held
  void count(std::string_view result) const;

  queue::JobStore& store_;
  const Callbacks callbacks_;
  const Options options_;
  const UniqueFd kill_;  ///< readable: kill what runs

  std::mutex mutex_;
  std::condition_variable changed_;
  config::Hooks hooks_;                  // guarded by mutex_, like all below
  std::deque<queue::JobEvent> waiting_;  // oldest first
  std::set<queue::JobId> running_;
  bool stopping_ = false;
  bool is_overfull_ = false;  ///< said so in the log
  std::vector<std::thread> threads_;
};

}  // namespace retouchd::intake
