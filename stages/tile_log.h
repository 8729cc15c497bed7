#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <optional>
#include <span>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace retouchd::stages {

/// The finished tiles of one long picture on disk, so that a crash or power cut costs the last seconds and not the picture.
///
///   key \n | record | record | ... | torn record   (a crash in the middle of a write; replay() cuts it off)
///
///   record: header {index, rows, cols, type, bytes, crc32 of the rest of the header and of the pixels}, then the pixels row by
///   row
///
/// Written and read on the same machine: numbers have its byte order. What a damaged file says is never believed: sizes are
/// checked against the file and against kLargestRecord before memory is taken, everything else by the checksum.
///
/// Threads: one at a time. A file has one TileLog at a time.
class TileLog {
 public:
  /// Pixels of one tile. A restored tile of 2048x2048 in fp32 has a twentieth of it.
  static constexpr Bytes kLargestRecord = gibibytes(1);

  /// Opens `file`, whose folder must exist and whose first line must equal `key`: one line that names everything that the pixels
  /// depend on. Anything else that stands there (other key, torn, damaged) is begun anew. kDiskFull, kIoError, kOutputDenied.
  static Result<std::unique_ptr<TileLog>> open(const std::filesystem::path& file, const std::string& key);

  /// Calls `place` for each whole record in the order of writing, and returns how many there were; the first torn or damaged one
  /// and all behind it are cut off. `index` is what append() was given: an index may come twice. kIoError.
  Result<std::size_t> replay(const std::function<void(int index, const cv::Mat& pixels)>& place);

  /// Adds one tile of any type behind the whole records. After a failure the file is as before. kDiskFull, kIoError;
  /// kPictureTooLarge above kLargestRecord.
  Result<void> append(int index, const cv::Mat& pixels);

  /// Makes what was appended survive a power cut; a killed process needs no sync.
  Result<void> sync();

  /// The file goes: the picture is done. Later appends lead nowhere.
  void remove() noexcept;

  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }

 private:
  TileLog(std::filesystem::path file, UniqueFd fd, std::uint64_t start);

  Result<void> begin_anew(std::span<const std::uint8_t> first_line);
  [[nodiscard]] Error failure(int errno_value, const char* what) const;

  std::filesystem::path file_;
  UniqueFd fd_;
  std::uint64_t start_;               ///< of the first record
  std::optional<std::uint64_t> end_;  ///< of the last whole record; nullopt: not looked for yet
};

}  // namespace retouchd::stages
