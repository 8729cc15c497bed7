#include "base/file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

namespace retouchd {
namespace {

/// Opens for reading without hanging on a FIFO; only regular files pass.
Result<UniqueFd> open_regular(const std::filesystem::path& path, struct stat& info) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return error_from_errno(errno, "cannot open " + path.string(), true);
  if (::fstat(fd.get(), &info) != 0) return error_from_errno(errno, "cannot stat " + path.string(), true);
  if (!S_ISREG(info.st_mode)) {
    return make_error(ErrorCode::kInputUnreadable,
                      path.string() + (S_ISDIR(info.st_mode) ? " is a folder, not a picture" : " is not a regular file"));
  }
  return fd;
}

FileIdentity identity_of(const struct stat& info) {
  return {static_cast<std::uint64_t>(info.st_dev), static_cast<std::uint64_t>(info.st_ino),
          static_cast<std::uint64_t>(info.st_size),
          static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec};
}

/// The first `size` bytes; fewer when the file was cut short meanwhile (the decoder will say so). `name` is for the error.
Result<std::vector<std::uint8_t>> read_bytes(const UniqueFd& fd, std::uint64_t size, const std::string& name) {
  std::vector<std::uint8_t> data(size);
  std::size_t filled = 0;
  while (filled < data.size()) {
    const ssize_t got = ::pread(fd.get(), data.data() + filled, data.size() - filled, static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_from_errno(errno, "cannot read " + name, true);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  data.resize(filled);
  return data;
}

/// False with errno set when not all could be written.
bool write_bytes(const UniqueFd& fd, std::span<const std::uint8_t> data) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd.get(), data.data(), data.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    data = data.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

Error empty_file(const std::filesystem::path& path) {
  return make_error(ErrorCode::kInputEmpty, path.string() + " is empty (0 bytes)");
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

  void update(std::span<const std::uint8_t> data) { EVP_DigestUpdate(context_.get(), data.data(), data.size()); }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(size * 2U);
    for (unsigned int i = 0; i < size; ++i) {
      text += kDigits[digest[i] >> 4U];
      text += kDigits[digest[i] & 15U];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) ::close(fd_);
}

int UniqueFd::release() noexcept { return std::exchange(fd_, -1); }

Result<FileIdentity> identify_file(const std::filesystem::path& path) {
  struct stat info {};
  auto fd = open_regular(path, info);
  if (!fd) return fd.error();
  return identity_of(info);
}

Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& path, Bytes limit, FileIdentity* identity) {
  const auto file = open_input(path, limit);
  if (!file) return file.error();
  if (identity != nullptr) *identity = file->identity;
  return read_bytes(file->fd, file->identity.size, path.string());
}

Result<std::vector<std::uint8_t>> read_file_prefix(const std::filesystem::path& path, Bytes limit, FileIdentity* identity) {
  struct stat info {};
  auto fd = open_regular(path, info);
  if (!fd) return fd.error();
  if (identity != nullptr) *identity = identity_of(info);
  if (info.st_size == 0) return empty_file(path);
  return read_bytes(*fd, std::min(limit.value, static_cast<std::uint64_t>(info.st_size)), path.string());
}

Result<InputFile> open_input(const std::filesystem::path& path, Bytes limit) {
  struct stat info {};
  auto fd = open_regular(path, info);
  if (!fd) return fd.error();
  const Bytes size{static_cast<std::uint64_t>(info.st_size)};
  if (size.value == 0) return empty_file(path);
  if (size > limit) {
    return make_error(ErrorCode::kPictureTooLarge,
                      path.string() + " has " + to_string(size) + "; limits.file_size is " + to_string(limit));
  }
  return InputFile{*std::move(fd), identity_of(info)};
}

Result<UniqueFd> memory_file(const char* name) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return error_from_errno(errno, "cannot make a file in memory", false);
  return fd;
}

Result<InputFile> input_of(std::span<const std::uint8_t> bytes) {
  auto fd = memory_file("picture file");
  if (!fd) return fd.error();
  InputFile file{*std::move(fd), {}};
  file.identity.size = bytes.size();
  if (!write_bytes(file.fd, bytes)) return error_from_errno(errno, "cannot put a picture into memory", false);
  return file;
}

Result<std::vector<std::uint8_t>> read_all(const UniqueFd& fd) {
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return error_from_errno(errno, "cannot stat an open file", true);
  return read_bytes(fd, static_cast<std::uint64_t>(info.st_size), "an open file");
}

Result<UniqueFd> create_file(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd.valid()) return error_from_errno(errno, "cannot create " + path.string(), false);
  return fd;
}

Result<void> finish_file(UniqueFd fd, const std::filesystem::path& path) {
  // A failed fsync is never repeated: the kernel has already dropped the pages.
  if (::fsync(fd.get()) != 0 || ::close(fd.release()) != 0) {
    return error_from_errno(errno, "cannot write " + path.string(), false);
  }
  return {};
}

Result<void> write_file_synced(const std::filesystem::path& path, std::span<const std::uint8_t> data) {
  auto fd = create_file(path);
  if (!fd) return fd.error();
  if (!write_bytes(*fd, data)) return error_from_errno(errno, "cannot write " + path.string(), false);
  return finish_file(*std::move(fd), path);
}

Result<void> sync_directory(const std::filesystem::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return error_from_errno(errno, "cannot open folder " + directory.string(), false);
  // Some network file systems cannot sync a folder; they say so with EINVAL.
  if (::fsync(fd.get()) != 0 && errno != EINVAL)
    return error_from_errno(errno, "cannot sync folder " + directory.string(), false);
  return {};
}

Result<void> make_directories_synced(const std::filesystem::path& directory) {
  if (directory.empty()) return {};
  struct stat info {};
  if (::stat(directory.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return make_error(ErrorCode::kOutputDenied, directory.string() + " stands where a folder is needed");
  }
  if (auto made = make_directories_synced(directory.parent_path()); !made) return made;
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
    return error_from_errno(errno, "cannot make folder " + directory.string(), false);
  }
  return sync_directory(directory.parent_path());
}

std::string sha256_hex(std::span<const std::uint8_t> data) {
  Sha256 hash;
  hash.update(data);
  return hash.hex();
}

Result<std::string> sha256_hex_of_file(const std::filesystem::path& path) {
  struct stat info {};
  auto fd = open_regular(path, info);
  if (!fd) return fd.error();
  Sha256 hash;
  std::vector<std::uint8_t> buffer(1U << 20U);
  while (true) {
    const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_from_errno(errno, "cannot read " + path.string(), true);
    if (got == 0) return hash.hex();
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
  }
}

}  // namespace retouchd
