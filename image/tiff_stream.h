#pragma once

#include <tiffio.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "image/metadata.h"
#include "image/output_file.h"

/// libtiff over memory and OutputFile instead of files, with errors kept per picture instead of printed.
namespace retouchd::image {

/// An open TIFF. Threads: confined to one at a time.
class TiffStream {
 public:
  enum class Mode {
    kNew,     ///< a classic file, behind whatever the output holds already
    kNewBig,  ///< one with 64-bit offsets
    kUpdate,  ///< the complete TIFF that the output holds
  };

  /// For reading `file`, which must outlive the stream. libtiff reads it in place and allocates no more than `largest_block` at
  /// once.
  TiffStream(ByteSpan file, Bytes largest_block);
  /// For writing to `file`, which must outlive the stream.
  TiffStream(OutputFile& file, Mode mode);
  ~TiffStream();
  TiffStream(const TiffStream&) = delete;
  TiffStream& operator=(const TiffStream&) = delete;

  [[nodiscard]] TIFF* get() const noexcept { return tiff_; }  ///< null when it could not be opened
  /// libtiff asked for bytes beyond the end.
  [[nodiscard]] bool ran_past_end() const noexcept { return ran_past_end_; }
  [[nodiscard]] std::uint64_t file_size() const noexcept { return input_.size(); }  ///< of the one that is read
  /// libtiff's first complaint.
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
  /// `what` went wrong while reading: kTruncatedPicture or kCorruptPicture, with the complaint.
  [[nodiscard]] Error reading_error(std::string_view what) const;

  /// Completes a written file. False when that, or anything written before, failed.
  [[nodiscard]] bool finish();

 private:
  void open(const char* mode, Bytes largest_block);

  static tmsize_t read(thandle_t self, void* to, tmsize_t count);
  static tmsize_t write(thandle_t self, void* from, tmsize_t count);
  static toff_t seek(thandle_t self, toff_t offset, int whence);
  static toff_t size(thandle_t self);
  static int map(thandle_t self, void** base, toff_t* size);
  static int complain(TIFF* tiff, void* self, const char* module, const char* format, va_list arguments);

  ByteSpan input_;
  OutputFile* output_ = nullptr;
  std::uint64_t at_ = 0;
  bool ran_past_end_ = false;
  std::string complaint_;
  TIFF* tiff_ = nullptr;
};

/// The value of a tag with one value, or its default; `otherwise` when there is neither.
template <class T>
[[nodiscard]] T tiff_field(TIFF* tiff, std::uint32_t tag, T otherwise) {
  T value = otherwise;
  return TIFFGetFieldDefaulted(tiff, tag, &value) == 1 ? value : otherwise;
}

}  // namespace retouchd::image
