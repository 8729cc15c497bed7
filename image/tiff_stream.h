#pragma once

#include <tiffio.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "image/metadata.h"

/// libtiff over memory instead of files, with errors kept per picture instead of printed.
namespace retouchd::image {

/// An open TIFF. Threads: confined to one at a time.
class TiffStream {
 public:
  /// For reading `file`, which must outlive the stream; libtiff allocates no more than `largest_block` at once.
  TiffStream(ByteSpan file, Bytes largest_block);
  /// For writing a new file; `is_big` for one beyond 4 GiB.
  explicit TiffStream(bool is_big);
  ~TiffStream();
  TiffStream(const TiffStream&) = delete;
  TiffStream& operator=(const TiffStream&) = delete;

  [[nodiscard]] TIFF* get() const noexcept { return tiff_; }  ///< null when it could not be opened
  /// libtiff asked for bytes beyond the end.
  [[nodiscard]] bool ran_past_end() const noexcept { return ran_past_end_; }
  /// libtiff's first complaint.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

  /// Completes a written file; empty when that fails.
  [[nodiscard]] ByteVector finish();

 private:
  void open(const char* mode, Bytes largest_block);

  static tmsize_t read(thandle_t self, void* to, tmsize_t count);
  static tmsize_t write(thandle_t self, void* from, tmsize_t count);
  static toff_t seek(thandle_t self, toff_t offset, int whence);
  static toff_t size(thandle_t self);
  static int complain(TIFF* tiff, void* self, const char* module, const char* format, va_list arguments);

  ByteSpan input_;
  ByteVector output_;
  bool is_writing_ = false;
  std::uint64_t at_ = 0;
  bool ran_past_end_ = false;
  bool is_out_of_memory_ = false;
  std::string complaint_;
  TIFF* tiff_ = nullptr;
};

}  // namespace retouchd::image
