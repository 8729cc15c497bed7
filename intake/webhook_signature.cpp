#include "intake/webhook_signature.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.h"

namespace retouchd::intake {
namespace {

constexpr std::size_t kLeast = 16;
constexpr std::size_t kMost = 4096;

Error bad_secret(const std::filesystem::path& file, const std::string& reason) {
  return make_error(ErrorCode::kBadConfig, "`callbacks.secret_file` " + file.string() + " " + reason);
}

std::string base64(const unsigned char* data, int size) {
  std::string text(static_cast<std::size_t>((size + 2) / 3 * 4) + 1, '\0');  // a NUL is written, too
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data, size);
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace

Result<std::string> read_webhook_secret(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0)
    return bad_secret(file, fmt::format("cannot be read: {}", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return bad_secret(file, "is not a regular file");
  if ((info.st_mode & (S_IROTH | S_IWOTH)) != 0)
    return bad_secret(
        file, "may be read or written by every user of this machine; take that away with `chmod o= " + file.string() + "`");
  std::string secret(kMost + 1, '\0');
  std::size_t size = 0;
  while (size < secret.size()) {
    const ssize_t got = ::read(fd.get(), secret.data() + size, secret.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return bad_secret(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMost) return bad_secret(file, fmt::format("is larger than {} bytes", kMost));
  secret.resize(size);
  while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
  if (secret.size() < kLeast)
    return bad_secret(file, fmt::format("holds {} bytes; a key of at least {} is needed, such as `openssl rand -hex 32` makes",
                                        secret.size(), kLeast));
  return secret;
}

std::string webhook_signature(std::string_view secret, std::string_view id, std::chrono::sys_seconds at, std::string_view body) {
  const std::string text = fmt::format("{}.{}.{}", id, at.time_since_epoch().count(), body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), mac.data(), &size);
  return "v1," + base64(mac.data(), static_cast<int>(size));
}

}  // namespace retouchd::intake
