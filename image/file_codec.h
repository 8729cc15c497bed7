#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "image/codec.h"
#include "image/picture.h"

namespace retouchd::image {

/// Reads and writes picture files: in this process (LocalCodec), or in one that can do nothing else (sandbox/codec_pool.h).
/// What is decoded and encoded is the same, bit for bit. Threads: all functions from any.
class FileCodec {
 public:
  virtual ~FileCodec() = default;

  /// As read_header() of codec.h, from an open file.
  [[nodiscard]] virtual Result<PictureHeader> read_header(const InputFile& file, const DecodeLimits& limits) = 0;

  /// As decode() of codec.h. `header` is what read_header() said with the same limits: planes of its size are all that there is
  /// room for. kInputChanged when the file has become another one since. kDecoderCrashed when the process died of it.
  [[nodiscard]] virtual Result<Picture> decode(const InputFile& file, const PictureHeader& header,
                                               const DecodeLimits& limits) = 0;

  /// As encode() of codec.h, into the empty file `fd`. Says what of the metadata could not be kept, else "".
  [[nodiscard]] virtual Result<std::string> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                                   int fd) = 0;

  /// Header and pixels in one call, for callers that set no memory aside.
  [[nodiscard]] Result<Picture> decode(const InputFile& file, const DecodeLimits& limits);
  [[nodiscard]] Result<Picture> decode(std::span<const std::uint8_t> bytes, const DecodeLimits& limits);
  /// A complete file in memory. `warning`, if given, receives what could not be kept.
  [[nodiscard]] Result<std::vector<std::uint8_t>> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                                         std::string* warning = nullptr);
};

/// Everything in the calling thread.
class LocalCodec final : public FileCodec {
 public:
  using FileCodec::decode;
  using FileCodec::encode;
  [[nodiscard]] Result<PictureHeader> read_header(const InputFile& file, const DecodeLimits& limits) override;
  [[nodiscard]] Result<Picture> decode(const InputFile& file, const PictureHeader& header, const DecodeLimits& limits) override;
  [[nodiscard]] Result<std::string> encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                           int fd) override;
};

}  // namespace retouchd::image
