#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "image/file_codec.h"

namespace retouchd::sandbox {

/// Counts since the pool was opened.
struct PoolCounts {
  std::uint64_t pictures = 0;  ///< read or written
  std::uint64_t crashes = 0;   ///< workers that died of a picture
  std::uint64_t timeouts = 0;  ///< workers that were killed because a picture took too long
  std::uint64_t started = 0;   ///< workers
};

/// Reads and writes picture files in processes of `retouchd-codec` that can do nothing else (jail.h): no network, no files but
/// those handed over, memory and processor time limited. A worker that dies or hangs costs its picture, after one more attempt in
/// a fresh worker; the pool goes on. kIoError when no worker can be started for the moment.
///
/// What a worker says is not trusted: sizes are checked against the header; planes are copied, or lie in memory that this process
/// made and sealed. A worker that could still write an encoded file after its answer is ended before encode() returns, and a
/// memory_file() is sealed. Threads: all functions from any; a call waits for a free worker.
class CodecPool final : public image::FileCodec {
 public:
  struct Options {
    int workers = 2;
    std::chrono::seconds timeout{60};  ///< for one picture, plus a second for each megapixel
    std::filesystem::path program;     ///< retouchd-codec; empty: where it is installed beside this program
  };

  /// Starts the workers. kBadConfig when the program is missing or cannot lock itself in, with the reason and the key that
  /// switches the sandbox off.
  [[nodiscard]] static Result<std::unique_ptr<CodecPool>> open(const Options& options);
  ~CodecPool() override;

  using FileCodec::decode;
  using FileCodec::encode;
  [[nodiscard]] Result<image::PictureHeader> read_header(const InputFile& file, const image::DecodeLimits& limits) override;
  [[nodiscard]] Result<image::Picture> decode(const InputFile& file, const image::PictureHeader& header,
                                              const image::DecodeLimits& limits) override;
  [[nodiscard]] Result<std::string> encode(const image::Picture& picture, image::FileFormat format,
                                           const image::EncodeOptions& options, int fd) override;

  [[nodiscard]] PoolCounts counts() const;

 private:
  class Impl;
  explicit CodecPool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retouchd::sandbox
