#include "queue/job_store.h"

#include <future>
#include <utility>

namespace retouchd::queue {

Result<JobStore::Accepted> JobStore::accept_and_wait(JobRequest request) {
  std::promise<Result<Accepted>> answer;
  accept(std::move(request), [&answer](Result<Accepted> result) { answer.set_value(std::move(result)); });
  return answer.get_future().get();
}

}  // namespace retouchd::queue
