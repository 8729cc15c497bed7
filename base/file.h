#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace retouchd {

/// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd();

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  int release() noexcept;

 private:
  int fd_ = -1;
};

/// What tells one version of one file from another without reading it.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// The identity of a regular file. Directories, FIFOs, sockets and devices are kInputUnreadable; the
/// file is opened non-blocking for reading, so that missing permission shows here and a FIFO cannot hang.
[[nodiscard]] Result<FileIdentity> identify_file(const std::filesystem::path& path);

/// The whole content, by read(), never by mmap (a file cut short meanwhile must not raise SIGBUS).
/// kPictureTooLarge above `limit`, kInputEmpty for zero bytes; `identity` receives what was read.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_file(const std::filesystem::path& path, Bytes limit,
                                                          FileIdentity* identity = nullptr);

/// The first bytes of a file, at most `limit`; `identity` tells how large the whole is. kInputEmpty for zero bytes.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_file_prefix(const std::filesystem::path& path, Bytes limit,
                                                                 FileIdentity* identity = nullptr);

/// A file that is open for reading, and what it was then.
struct InputFile {
  UniqueFd fd;
  FileIdentity identity;
};

/// Opens a regular file. As read_file() in what it refuses.
[[nodiscard]] Result<InputFile> open_input(const std::filesystem::path& path, Bytes limit);

/// The same for bytes in memory.
[[nodiscard]] Result<InputFile> input_of(std::span<const std::uint8_t> bytes);

/// An empty file that exists in memory only. `name` is for debuggers.
[[nodiscard]] Result<UniqueFd> memory_file(const char* name);

/// The whole content from its beginning, whatever was read before; fewer bytes when the file is cut short meanwhile.
[[nodiscard]] Result<std::vector<std::uint8_t>> read_all(const UniqueFd& fd);

/// Creates or empties `path`, for reading and writing. Parents must exist.
[[nodiscard]] Result<UniqueFd> create_file(const std::filesystem::path& path);
/// fsyncs what was written and checks close().
[[nodiscard]] Result<void> finish_file(UniqueFd fd, const std::filesystem::path& path);

/// Creates or replaces `path` with `data`, fsyncs it and checks close(). Parents must exist.
/// No rename and no directory fsync: see queue/publisher.h for the whole protocol.
[[nodiscard]] Result<void> write_file_synced(const std::filesystem::path& path, std::span<const std::uint8_t> data);

/// Makes a rename, creation or removal in `directory` durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

/// mkdir -p whose new entries are durable. kOutputDenied names the first folder that could not be made.
[[nodiscard]] Result<void> make_directories_synced(const std::filesystem::path& directory);

/// Lower-case hexadecimal SHA-256.
[[nodiscard]] std::string sha256_hex(std::span<const std::uint8_t> data);

/// The same of a file's content, streamed.
[[nodiscard]] Result<std::string> sha256_hex_of_file(const std::filesystem::path& path);

}  // namespace retouchd
