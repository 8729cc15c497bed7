#include "intake/zmq_worker.h"

#include <pthread.h>

#include <utility>

namespace retouchd::intake {

ZmqWorker::ZmqWorker(const std::string& name) : thread_([this] { serve(); }) {
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

ZmqWorker::~ZmqWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void ZmqWorker::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void ZmqWorker::serve() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
  }
}

}  // namespace retouchd::intake
