#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace retouchd::intake {

/// One thread that runs what it is given, in order. The destructor runs what still waits. Threads: safe.
class ZmqWorker {
 public:
  explicit ZmqWorker(const std::string& name);
  ZmqWorker(const ZmqWorker&) = delete;
  ZmqWorker& operator=(const ZmqWorker&) = delete;
  ~ZmqWorker();

  /// `task` must not throw.
  void post(std::function<void()> task);

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace retouchd::intake
