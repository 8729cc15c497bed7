#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "intake/wire/request.h"

namespace retouchd::intake {

/// Pictures that come in parts: <folder>/<owner>/<sha256>.part, and <sha256> once all of it is there and has that hash.
///
/// Parts are appended in order, so the size of the file tells how far an upload has come, also after either side was killed. Each
/// owner has files of its own: nobody can find out what others have sent. Begun uploads count with the size that was announced,
/// so that what was begun can be finished.
///
/// Owners and hashes become names of files: hashes as the wire has checked them, owners without '/' (the origin of their jobs).
///
/// Threads: safe.
class Uploads {
 public:
  struct Limits {
    Bytes largest;              ///< limits.file_size
    Bytes disk;                 ///< serve.disk: of all uploads together
    std::chrono::seconds keep;  ///< serve.keep: those that nobody used for so long go
  };
  /// That much of the disk is left to others.
  static constexpr Bytes kSpare = mebibytes(256);

  struct Progress {
    std::uint64_t have = 0;
    bool is_complete = false;  ///< durable, and with the right hash
  };

  Uploads(std::filesystem::path folder, Limits limits, const Clock& clock = system_clock(), Bytes spare = kSpare);

  void reconfigure(const Limits& limits);

  /// How far an upload has come.
  [[nodiscard]] Result<Progress> find(const std::string& owner, const wire::Upload& upload);

  /// Appends `part` and says how far that is now. When upload.offset is not what is there, nothing is written. With the last part
  /// the hash is compared: when it differs the upload is removed, kInvalidRequest. Other errors: kInvalidRequest (the part does
  /// not fit the announced size), kPictureTooLarge, kDiskFull, kOutputDenied, kIoError.
  [[nodiscard]] Result<Progress> append(const std::string& owner, const wire::Upload& upload, std::span<const std::uint8_t> part);

  /// The file of a complete upload, which is kept for `keep` from now on. Link it, do not change it. kInputMissing when there is
  /// none.
  [[nodiscard]] Result<std::filesystem::path> content(const std::string& owner, const std::string& sha256);

  /// Removes what nobody used for `keep`; returns how many files. Jobs do not notice: they have links of their own.
  int sweep();

  /// Of all uploads, as they count.
  [[nodiscard]] Bytes held() const;

 private:
  struct Files {
    std::filesystem::path whole;
    std::filesystem::path part;
  };

  [[nodiscard]] Files files_of(const std::string& owner, const std::string& sha256) const;
  [[nodiscard]] std::mutex& lock_of(const std::filesystem::path& whole);
  [[nodiscard]] Result<Progress> progress_of(const Files& files, const wire::Upload& upload);
  Result<void> reserve(const Files& files, std::uint64_t size, std::uint64_t have);
  void release(const Files& files);
  void discard(const Files& files);
  Result<Progress> finish(const Files& files, const wire::Upload& upload);
  bool sweep_one(const Files& files, UnixMillis before);
  [[nodiscard]] Limits limits() const;

  const std::filesystem::path folder_;
  const Clock& clock_;
  const Bytes spare_;
  std::array<std::mutex, 16> locks_;  // one upload is worked on by one thread at a time; taken before mutex_
  mutable std::mutex mutex_;
  Limits limits_;                                         // guarded by mutex_, like all below
  std::map<std::filesystem::path, std::uint64_t> sizes_;  // by Files::whole
  Bytes held_;
};

}  // namespace retouchd::intake
