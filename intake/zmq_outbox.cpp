#include "intake/zmq_outbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace retouchd::intake {

Result<std::shared_ptr<ZmqOutbox>> ZmqOutbox::create() {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return make_error(ErrorCode::kInternal, std::string("cannot create an eventfd: ") + std::strerror(errno));
  return std::shared_ptr<ZmqOutbox>(new ZmqOutbox(std::move(wake)));
}

void ZmqOutbox::post(Reply reply) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = replies_.empty();
    replies_.push_back(std::move(reply));
  }
  if (first) wake();
}

std::deque<ZmqOutbox::Reply> ZmqOutbox::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(replies_, {});
}

void ZmqOutbox::wake() noexcept {
  const std::uint64_t one = 1;
  // Fails only when the counter is full; the owner is then awake already.
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void ZmqOutbox::clear_wake() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
}

}  // namespace retouchd::intake
