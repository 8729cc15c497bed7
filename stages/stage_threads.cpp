#include "stages/stage_threads.h"

#include <pthread.h>

namespace retouchd::stages {

void StageThreads::start(const std::string& name, int count, const std::function<void()>& body) {
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([name = name.substr(0, 15), body] {
      ::pthread_setname_np(::pthread_self(), name.c_str());
      body();
    });
  }
}

void StageThreads::join() { threads_.clear(); }

}  // namespace retouchd::stages
