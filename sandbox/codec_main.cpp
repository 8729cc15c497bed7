// retouchd-codec: reads and writes picture files for retouchd, which starts it; see sandbox/codec_pool.h.
#include <fcntl.h>
#include <iconv.h>

#include <cstdio>
#include <opencv2/core/utility.hpp>
#include <string>
#include <vector>

#include "image/codec.h"
#include "image/format_codec.h"
#include "image/md5.h"
#include "sandbox/codec_service.h"
#include "sandbox/protocol.h"

namespace {

using retouchd::Result;
namespace image = retouchd::image;

/// Runs every codec once, so that whatever it loads, opens or looks up is there before files are out of reach.
void prepare() {
  cv::setNumThreads(1);
  iconv_open("UTF-8", "ISO-8859-1");  // stays open: keeps glibc's table loaded
  static_cast<void>(image::md5_hex({}));
  image::prepare_heic();
  image::Picture picture;
  picture.colour = cv::Mat(16, 16, CV_8UC3, cv::Scalar::all(64));
  for (const auto format : {image::FileFormat::kJpeg, image::FileFormat::kPng, image::FileFormat::kTiff, image::FileFormat::kWebp,
                            image::FileFormat::kAvif, image::FileFormat::kJxl, image::FileFormat::kPnm}) {
    const auto file = image::encode(picture, format, {});
    if (file) static_cast<void>(image::decode(*file, {}));
  }
}

Result<image::Picture> decode(std::span<const std::uint8_t> file, const image::DecodeLimits& limits, image::PlaneMemory& memory) {
  return image::decode(file, limits, memory);
}

Result<void> encode(const image::Picture& picture, image::FileFormat format, const image::EncodeOptions& options,
                    image::OutputFile& file, std::string* warning) {
  return image::encode(picture, format, options, file, warning);
}

}  // namespace

int main() {
  if (::fcntl(retouchd::sandbox::kSocket, F_GETFD) < 0) {
    std::fputs("retouchd-codec is started by retouchd, to read and write picture files\n", stderr);
    return 2;
  }
  return retouchd::sandbox::serve({&prepare, &image::read_header, &decode, &encode});
}
