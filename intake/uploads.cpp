#include "intake/uploads.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/file.h"

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartSuffix = ".part";

Error refusal(std::string message) { return make_error(ErrorCode::kInvalidRequest, std::move(message)); }

std::string label(const wire::Upload& upload) { return "upload " + upload.sha256.substr(0, 12) + "..."; }

/// The size of a file; nullopt when there is none.
Result<std::optional<std::uint64_t>> size_of(const fs::path& file) {
  struct stat about {};
  if (::stat(file.c_str(), &about) == 0) return std::optional(static_cast<std::uint64_t>(about.st_size));
  if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::uint64_t>();
  return error_from_errno(errno, "cannot look at " + file.string(), true);
}

/// The later of the moments at which a file was written and used.
UnixMillis last_used(const struct stat& about) {
  const auto moment = [](const timespec& time) {
    return UnixMillis(std::chrono::seconds(time.tv_sec) + std::chrono::milliseconds(time.tv_nsec / 1'000'000));
  };
  return std::max(moment(about.st_mtim), moment(about.st_atim));
}

/// `part` behind the first `have` bytes of `file`, or nothing.
Result<void> append_to(const fs::path& file, std::uint64_t have, std::span<const std::uint8_t> part) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  const std::string what = "cannot write " + file.string();
  if (!fd.valid()) return error_from_errno(errno, what, false);
  std::uint64_t at = have;
  while (!part.empty()) {
    const auto put = ::pwrite(fd.get(), part.data(), part.size(), static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      const int failed = errno;
      if (::ftruncate(fd.get(), static_cast<off_t>(have)) != 0) ::unlink(file.c_str());
      return error_from_errno(failed, what, false);
    }
    at += static_cast<std::uint64_t>(put);
    part = part.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<void> sync_file(const fs::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return error_from_errno(errno, "cannot sync " + file.string(), false);
  return {};
}

Result<void> make_private_folder(const fs::path& folder) {
  std::error_code failed;
  if (fs::exists(folder, failed)) return {};
  if (auto made = make_directories_synced(folder); !made) return made;
  fs::permissions(folder, fs::perms::owner_all, failed);  // other people's pictures are in there
  return {};
}

}  // namespace

Uploads::Uploads(fs::path folder, Limits limits, const Clock& clock, Bytes spare)
    : folder_(std::move(folder)), clock_(clock), spare_(spare), limits_(limits) {
  std::error_code failed;
  for (fs::recursive_directory_iterator file(folder_, failed), end; !failed && file != end; file.increment(failed)) {
    std::error_code gone;
    if (!file->is_regular_file(gone)) continue;
    const auto size = file->file_size(gone);
    if (gone) continue;
    fs::path whole = file->path();
    if (whole.extension() == kPartSuffix) whole.replace_extension();
    sizes_[whole] = size;
    held_ += Bytes{size};
  }
}

void Uploads::reconfigure(const Limits& limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

Uploads::Limits Uploads::limits() const {
  const std::lock_guard lock(mutex_);
  return limits_;
}

Bytes Uploads::held() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

Uploads::Files Uploads::files_of(const std::string& owner, const std::string& sha256) const {
  const fs::path whole = folder_ / owner / sha256;
  fs::path part = whole;
  part += kPartSuffix;
  return {whole, part};
}

std::mutex& Uploads::lock_of(const fs::path& whole) { return locks_[fs::hash_value(whole) % locks_.size()]; }

Result<Uploads::Progress> Uploads::progress_of(const Files& files, const wire::Upload& upload) {
  const auto whole = size_of(files.whole);
  if (!whole) return whole.error();
  if (*whole && **whole != upload.size)
    return refusal(label(upload) + " is complete and has " + std::to_string(**whole) + " bytes, not " +
                   std::to_string(upload.size));
  if (*whole) return Progress{upload.size, true};
  const auto part = size_of(files.part);
  if (!part) return part.error();
  const std::uint64_t have = part->value_or(0);
  if (have == upload.size) return finish(files, upload);  // the daemon ended right then
  if (have < upload.size) return Progress{have, false};
  discard(files);  // begun with another size
  return Progress{};
}

Result<Uploads::Progress> Uploads::find(const std::string& owner, const wire::Upload& upload) {
  const Files files = files_of(owner, upload.sha256);
  const std::lock_guard lock(lock_of(files.whole));
  return progress_of(files, upload);
}

Result<Uploads::Progress> Uploads::append(const std::string& owner, const wire::Upload& upload,
                                          std::span<const std::uint8_t> part) {
  const Bytes largest = limits().largest;
  if (upload.size > largest.value) {
    return make_error(ErrorCode::kPictureTooLarge, label(upload) + " is to have " + to_string(Bytes{upload.size}) +
                                                       "; limits.file_size is " + to_string(largest));
  }
  if (part.empty() || upload.offset > upload.size || part.size() > upload.size - upload.offset) {
    return refusal(label(upload) + ": " + std::to_string(part.size()) + " bytes at " + std::to_string(upload.offset) +
                   " are no part of " + std::to_string(upload.size));
  }
  const Files files = files_of(owner, upload.sha256);
  const std::lock_guard lock(lock_of(files.whole));
  auto progress = progress_of(files, upload);
  if (!progress || progress->is_complete || progress->have != upload.offset) return progress;
  if (auto room = reserve(files, upload.size, progress->have); !room) return room.error();
  for (const auto& folder : {folder_, files.part.parent_path()}) {
    if (auto made = make_private_folder(folder); !made) return made.error();
  }
  if (auto written = append_to(files.part, progress->have, part); !written) {
    if (progress->have == 0) discard(files);
    return written.error();
  }
  progress->have += part.size();
  return progress->have == upload.size ? finish(files, upload) : progress;
}

Result<void> Uploads::reserve(const Files& files, std::uint64_t size, std::uint64_t have) {
  const std::lock_guard lock(mutex_);
  std::uint64_t& mine = sizes_[files.whole];
  const Bytes wanted = held_ - Bytes{mine} + Bytes{size};
  std::error_code failed;
  const auto space = fs::space(folder_.parent_path(), failed);
  std::string why;
  if (wanted > limits_.disk) {
    why = "the uploads here would have " + to_string(wanted) + "; serve.disk is " + to_string(limits_.disk);
  } else if (!failed && space.available < size - have + spare_.value) {
    why = "the disk of the node has " + to_string(Bytes{space.available}) + " left";
  }
  if (why.empty()) {
    held_ = wanted;
    mine = size;
    return {};
  }
  if (mine == 0) sizes_.erase(files.whole);
  return make_error(ErrorCode::kDiskFull, why);
}

void Uploads::release(const Files& files) {
  const std::lock_guard lock(mutex_);
  const auto mine = sizes_.find(files.whole);
  if (mine == sizes_.end()) return;
  held_ -= Bytes{mine->second};
  sizes_.erase(mine);
}

void Uploads::discard(const Files& files) {
  ::unlink(files.part.c_str());
  release(files);
}

Result<Uploads::Progress> Uploads::finish(const Files& files, const wire::Upload& upload) {
  if (auto synced = sync_file(files.part); !synced) return synced.error();
  const auto sha256 = sha256_hex_of_file(files.part);
  if (!sha256) return sha256.error();
  if (*sha256 != upload.sha256) {
    discard(files);
    return refusal(label(upload) + ": the bytes that came have another SHA-256, " + sha256->substr(0, 12) +
                   "...; they were thrown away, send it again");
  }
  if (::rename(files.part.c_str(), files.whole.c_str()) != 0)
    return error_from_errno(errno, "cannot rename " + files.part.string(), false);
  if (auto synced = sync_directory(files.whole.parent_path()); !synced) return synced.error();
  return Progress{upload.size, true};
}

Result<fs::path> Uploads::content(const std::string& owner, const std::string& sha256) {
  const Files files = files_of(owner, sha256);
  const std::lock_guard lock(lock_of(files.whole));
  // The time of access is ours to set; that of the last change belongs to the identity of jobs' sources.
  const std::array<timespec, 2> times{timespec{0, UTIME_NOW}, timespec{0, UTIME_OMIT}};
  if (::utimensat(AT_FDCWD, files.whole.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) == 0) return files.whole;
  if (errno == ENOENT || errno == ENOTDIR) {
    return make_error(ErrorCode::kInputMissing, "no complete upload of yours has the SHA-256 " + sha256);
  }
  return error_from_errno(errno, "cannot use " + files.whole.string(), true);
}

int Uploads::sweep() {
  const auto before = clock_.now() - limits().keep;
  std::set<fs::path> found;
  std::error_code failed;
  for (fs::recursive_directory_iterator file(folder_, failed), end; !failed && file != end; file.increment(failed)) {
    fs::path whole = file->path();
    if (whole.extension() == kPartSuffix) whole.replace_extension();
    std::error_code gone;
    if (file->is_regular_file(gone)) found.insert(std::move(whole));
  }
  int removed = 0;
  for (const fs::path& whole : found) {
    fs::path part = whole;
    part += kPartSuffix;
    const std::lock_guard lock(lock_of(whole));
    removed += sweep_one({whole, std::move(part)}, before) ? 1 : 0;
  }
  return removed;
}

bool Uploads::sweep_one(const Files& files, UnixMillis before) {
  bool has_any = false;
  bool has_removed = false;
  for (const fs::path& file : {files.whole, files.part}) {
    struct stat about {};
    if (::stat(file.c_str(), &about) != 0) continue;
    const bool is_old = last_used(about) < before;
    if (is_old && ::unlink(file.c_str()) == 0)
      has_removed = true;
    else
      has_any = true;
  }
  if (!has_any) release(files);
  return has_removed;
}

}  // namespace retouchd::intake
