#include "queue/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace retouchd::queue {
namespace {

std::string holder(int fd) {
  std::array<char, 16> text{};
  const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  std::string pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  pid.erase(std::min(pid.find_first_not_of("0123456789"), pid.size()));
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

Result<StateLock> StateLock::acquire(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "lock";
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid())
    return make_error(ErrorCode::kStoreFailed, "cannot open the lock " + file.string() + ": " + std::strerror(errno));
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) {
      return make_error(ErrorCode::kBusy, "the state directory " + directory.string() + " is in use by " + holder(fd.get()));
    }
    return make_error(ErrorCode::kStoreFailed, "cannot lock " + file.string() + ": " + std::strerror(errno));
  }
  // Only tells people who holds it: a full disk is no reason to refuse.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) return StateLock(std::move(fd));
  return StateLock(std::move(fd));
}

}  // namespace retouchd::queue
