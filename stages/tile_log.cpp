#include "stages/tile_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <type_traits>
#include <utility>
#include <vector>

namespace retouchd::stages {
namespace {

/// In front of a tile's pixels.
struct Header {
  std::uint64_t bytes = 0;
  std::int32_t index = 0;
  std::int32_t rows = 0;
  std::int32_t cols = 0;
  std::int32_t type = 0;  ///< OpenCV's
  std::uint32_t reserved = 0;
  std::uint32_t checksum = 0;  ///< of all above and of the pixels
};
static_assert(std::has_unique_object_representations_v<Header>, "padding would be written");

std::uint32_t checksum_of(Header header, const std::uint8_t* pixels) {
  header.checksum = 0;
  const uLong start = ::crc32_z(::crc32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(&header), sizeof(header));
  return static_cast<std::uint32_t>(::crc32_z(start, pixels, header.bytes));
}

/// Whether a record can be what it says: `left` bytes of the file lie behind its header.
bool is_plausible(const Header& header, std::uint64_t left) {
  if (header.index < 0 || header.rows <= 0 || header.cols <= 0) return false;
  if (header.type < 0 || header.type > CV_MAT_TYPE_MASK) return false;
  if (header.bytes > left || header.bytes > TileLog::kLargestRecord.value) return false;
  const auto pixels = static_cast<std::uint64_t>(header.rows) * static_cast<std::uint64_t>(header.cols);  // below 2^62
  const auto pixel = static_cast<std::uint64_t>(CV_ELEM_SIZE(header.type));
  return header.bytes % pixel == 0 && header.bytes / pixel == pixels;
}

/// 0, or why not. `filled` is less than `into` only at the end of the file.
int read_at(int fd, std::span<std::uint8_t> into, std::uint64_t offset, std::size_t& filled) {
  filled = 0;
  while (filled < into.size()) {
    const ssize_t got = ::pread(fd, into.data() + filled, into.size() - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return 0;
}

/// 0, or why not.
int write_at(int fd, std::span<const std::uint8_t> data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t put = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    data = data.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return 0;
}

std::span<std::uint8_t> bytes_of(Header& header) { return {reinterpret_cast<std::uint8_t*>(&header), sizeof(header)}; }

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TileLog::TileLog(std::filesystem::path file, UniqueFd fd, std::uint64_t start)
    : file_(std::move(file)), fd_(std::move(fd)), start_(start) {}

Error TileLog::failure(int errno_value, const char* what) const {
  return error_from_errno(errno_value, std::string("cannot ") + what + " the finished tiles in " + file_.string(), false);
}

Result<std::unique_ptr<TileLog>> TileLog::open(const std::filesystem::path& file, const std::string& key) {
  const std::string first_line = key + '\n';
  UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  const int opened = fd.valid() ? 0 : errno;
  std::unique_ptr<TileLog> log(new TileLog(file, std::move(fd), first_line.size()));
  if (opened != 0) return log->failure(opened, "open");

  struct stat info {};
  if (::fstat(log->fd_.get(), &info) != 0) return log->failure(errno, "open");
  if (!S_ISREG(info.st_mode)) return make_error(ErrorCode::kOutputDenied, file.string() + " is not a regular file");

  std::vector<std::uint8_t> found(first_line.size());
  std::size_t length = 0;
  if (const int error = read_at(log->fd_.get(), found, 0, length); error != 0) return log->failure(error, "read");
  const auto wanted = bytes_of(first_line);
  if (length < found.size() || !std::equal(found.begin(), found.end(), wanted.begin())) {
    if (auto begun = log->begin_anew(wanted); !begun) return begun.error();
  }
  return log;
}

Result<void> TileLog::begin_anew(std::span<const std::uint8_t> first_line) {
  if (::ftruncate(fd_.get(), 0) != 0) return failure(errno, "begin");
  if (const int error = write_at(fd_.get(), first_line, 0); error != 0) return failure(error, "begin");
  end_ = start_;
  return sync_directory(file_.parent_path());  // a new name must survive a power cut as well
}

Result<std::size_t> TileLog::replay(const std::function<void(int, const cv::Mat&)>& place) {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return failure(errno, "read");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  std::uint64_t end = start_;
  std::size_t count = 0;
  while (end + sizeof(Header) <= size) {
    Header header;
    std::size_t length = 0;
    if (const int error = read_at(fd_.get(), bytes_of(header), end, length); error != 0) return failure(error, "read");
    const std::uint64_t behind = end + sizeof(Header);
    if (length < sizeof(Header) || !is_plausible(header, size - behind)) break;

    const cv::Mat pixels(header.rows, header.cols, header.type);
    const std::span<std::uint8_t> bytes(pixels.data, header.bytes);
    if (const int error = read_at(fd_.get(), bytes, behind, length); error != 0) return failure(error, "read");
    if (length < bytes.size() || header.checksum != checksum_of(header, pixels.data)) break;

    end = behind + header.bytes;
    ++count;
    if (place) place(header.index, pixels);
  }
  if (end < size && ::ftruncate(fd_.get(), static_cast<off_t>(end)) != 0) return failure(errno, "cut");
  end_ = end;
  return count;
}

Result<void> TileLog::append(int index, const cv::Mat& pixels) {
  if (!end_) {
    if (auto found = replay(nullptr); !found) return found.error();
  }
  const cv::Mat whole = pixels.isContinuous() ? pixels : pixels.clone();
  Header header{whole.total() * whole.elemSize(), index, whole.rows, whole.cols, whole.type(), 0, 0};
  if (!is_plausible(header, header.bytes)) {
    return make_error(ErrorCode::kPictureTooLarge, "tile " + std::to_string(index) + " with " + to_string(Bytes{header.bytes}) +
                                                       " does not go into " + file_.string());
  }
  header.checksum = checksum_of(header, whole.data);
  int error = write_at(fd_.get(), bytes_of(header), *end_);
  if (error == 0) error = write_at(fd_.get(), {whole.data, header.bytes}, *end_ + sizeof(header));
  if (error == 0) {
    *end_ += sizeof(header) + header.bytes;
    return {};
  }
  // If cutting fails as well, the next append overwrites the torn record, or the next replay cuts it.
  if (::ftruncate(fd_.get(), static_cast<off_t>(*end_)) != 0) end_.reset();
  return failure(error, "keep");
}

Result<void> TileLog::sync() {
  if (::fdatasync(fd_.get()) != 0) return failure(errno, "sync");
  return {};
}

void TileLog::remove() noexcept { ::unlink(file_.c_str()); }

}  // namespace retouchd::stages
