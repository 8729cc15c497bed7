// Camera raw by LibRaw: developed to what the camera saw, with nothing to taste.
//
// White balance is the camera's own (daylight where it left none), the colour matrix that of the file or of LibRaw's table. AHD
// makes three colours of each pixel. Highlights are cut at the level where the first channel saturates; that level follows the
// brightest sample when it lies in the top quarter, for cameras that saturate earlier than they say (else: pink skies). No
// automatic brightness. The result is 16-bit sRGB with its curve; what lies beyond sRGB's gamut is cut.

#include <fmt/format.h>
#include <libraw/libraw.h>

#include <algorithm>
#include <array>
#include <memory>

#include "image/colour.h"
#include "image/format_codec.h"

// OpenMP's own functions, where LibRaw brought it along; its header exists only where the compiler has OpenMP too.
extern "C" {
[[gnu::weak]] int omp_get_max_threads();
[[gnu::weak]] void omp_set_num_threads(int threads);
}

namespace retouchd::image {
namespace {

#if LIBRAW_COMPILE_CHECK_VERSION_NOTLESS(0, 21)
constexpr unsigned kPrintsNothing = LIBRAW_OPIONS_NO_DATAERR_CALLBACK;
#else
constexpr unsigned kPrintsNothing = LIBRAW_OPIONS_NO_DATAERR_CALLBACK | LIBRAW_OPIONS_NO_MEMERR_CALLBACK;
#endif

/// Keeps OpenMP, which LibRaw may be built with, in the calling thread: a sandboxed one can start no others.
class OneThread {
 public:
  OneThread() {
    if (!has_openmp()) return;
    before_ = omp_get_max_threads();
    omp_set_num_threads(1);
  }
  ~OneThread() {
    if (has_openmp()) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  static bool has_openmp() noexcept { return omp_get_max_threads != nullptr && omp_set_num_threads != nullptr; }

  int before_ = 1;
};

Error error_of(int code) {
  switch (code) {
    case LIBRAW_FILE_UNSUPPORTED:
    case LIBRAW_REQUEST_FOR_NONEXISTENT_IMAGE:
    case LIBRAW_NOT_IMPLEMENTED:
      return make_error(ErrorCode::kUnsupportedFormat, "LibRaw does not know raw files of this camera");
    case LIBRAW_UNSUFFICIENT_MEMORY:
    case LIBRAW_TOO_BIG:
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to develop the raw file");
    case LIBRAW_IO_ERROR:
      return make_error(ErrorCode::kTruncatedPicture, "the raw file ends early");
    default:
      return make_error(ErrorCode::kCorruptPicture,
                        fmt::format("the raw file is damaged: {}", code < 0 ? LibRaw::strerror(code) : "LibRaw refused it"));
  }
}

class Developer {
 public:
  Developer(ByteSpan data, const DecodeLimits& limits) : data_(data) {
    raw_->set_dataerror_handler(
        [](void* self, const char* /*file*/, const auto offset) {
          auto* developer = static_cast<Developer*>(self);
          developer->is_damaged_ = true;
          developer->is_truncated_ = developer->is_truncated_ || offset < 0;
        },
        this);
    libraw_output_params_t& wanted = raw_->imgdata.params;
    wanted.use_camera_wb = 1;
    wanted.output_color = 1;  // sRGB
    wanted.output_bps = 16;
    wanted.gamm[0] = 1.0 / 2.4;  // sRGB's curve
    wanted.gamm[1] = 12.92;
    wanted.no_auto_bright = 1;
    wanted.user_qual = 3;             // AHD
    wanted.user_flip = 0;             // turned with all other formats
    constexpr double kRawBytes = 16;  // a pixel, in the most wasteful of LibRaw's layouts
    const auto most = static_cast<unsigned>(std::clamp(limits.megapixels * kRawBytes, 64.0, 1e6));
#if LIBRAW_COMPILE_CHECK_VERSION_NOTLESS(0, 21)
    raw_->imgdata.rawparams.max_raw_memory_mb = most;
#else
    wanted.max_raw_memory_mb = most;
#endif
  }
  Developer(const Developer&) = delete;
  Developer& operator=(const Developer&) = delete;

  /// The camera, and how it was held; no pixels.
  Result<void> open() {
    // LibRaw reads only, though it asks for writable bytes.
    const int code = raw_->open_buffer(const_cast<std::uint8_t*>(data_.data()), data_.size());
    if (code != LIBRAW_SUCCESS) return error_of(code);
    flip_ = raw_->imgdata.sizes.flip;
    if (const int colours = raw_->imgdata.idata.colors; colours != 1 && colours != 3 && colours != 4) {
      return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the raw file has {} colours", colours));
    }
    return {};
  }

  /// The size of the result. Only after open(); LibRaw does not develop afterwards.
  Result<PictureHeader> header() {
    if (const int code = raw_->adjust_sizes_info_only(); code != LIBRAW_SUCCESS) return error_of(code);
    const libraw_image_sizes_t& sizes = raw_->imgdata.sizes;
    PictureHeader header;
    header.format = FileFormat::kRaw;
    header.width = sizes.iwidth;
    header.height = sizes.iheight;
    header.channels = raw_->imgdata.idata.colors == 1 ? 1 : 3;
    header.bits = 16;
    const std::uint64_t sensor = std::uint64_t{sizes.raw_width} * sizes.raw_height;
    const std::uint64_t pixels = std::max(sensor, std::uint64_t{sizes.iwidth} * sizes.iheight);
    const bool is_mosaic = raw_->imgdata.idata.filters != 0;
    const bool is_resampled = sizes.pixel_aspect != 1.0 || raw_->is_fuji_rotated() != 0;
    constexpr std::uint64_t kWorking = 8;  // four 16-bit colours a pixel
    header.working = mebibytes(32) + Bytes{sensor * (is_mosaic ? 2 : 8) + (raw_->is_floating_point() != 0 ? sensor * 16 : 0) +
                                           pixels * kWorking * (is_resampled ? 2 : 1)};
    return header;
  }

  /// EXIF's number for how the camera was held, from dcraw's bits: 1 mirrors left and right, 2 top and bottom, 4 transposes
  /// first.
  [[nodiscard]] int orientation() const noexcept {
    constexpr std::array<int, 8> kOfFlip{1, 2, 4, 3, 5, 8, 6, 7};
    return kOfFlip[static_cast<std::size_t>(flip_) % 8];
  }

  /// Only after open(), once. `expected` is what another one said of the same file.
  Result<cv::Mat> develop(const PictureHeader& expected, PlaneMemory& memory) {
    if (const int code = raw_->unpack(); code != LIBRAW_SUCCESS) return error_of(code);
    if (is_truncated_) return make_error(ErrorCode::kTruncatedPicture, "the raw file ends early");
    if (is_damaged_) return make_error(ErrorCode::kCorruptPicture, "the raw file is damaged: its pixels cannot be unpacked");
    if (const int code = raw_->dcraw_process(); code != LIBRAW_SUCCESS) return error_of(code);
    int width = 0;
    int height = 0;
    int colours = 0;
    int bits = 0;
    raw_->get_mem_image_format(&width, &height, &colours, &bits);
    if (width != static_cast<int>(expected.width) || height != static_cast<int>(expected.height) ||
        colours != expected.channels || bits != 16) {
      return make_error(ErrorCode::kCorruptPicture, "the raw file is damaged: its sizes contradict one another");
    }
    cv::Mat plane = memory.make({width, height}, CV_MAKETYPE(CV_16U, colours));
    if (const int code = raw_->copy_mem_image(plane.data, static_cast<int>(plane.step), 0); code != LIBRAW_SUCCESS) {
      return error_of(code);
    }
    return plane;
  }

 private:
  ByteSpan data_;
  // Hundreds of kilobytes.
  std::unique_ptr<LibRaw> raw_ = std::make_unique<LibRaw>(kPrintsNothing);
  int flip_ = 0;
  bool is_truncated_ = false;
  bool is_damaged_ = false;
};

}  // namespace

Result<PictureHeader> read_raw_header(ByteSpan data, const DecodeLimits& limits) {
  const OneThread one_thread;
  Developer developer(data, limits);
  if (Result<void> opened = developer.open(); !opened) return opened.error();
  return developer.header();
}

Result<StoredPicture> decode_raw(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  Result<PictureHeader> header = read_raw_header(data, limits);
  if (!header) return header.error();
  const OneThread one_thread;
  Developer developer(data, limits);
  if (Result<void> opened = developer.open(); !opened) return opened.error();
  Result<cv::Mat> developed = developer.develop(*header, memory);
  if (!developed) return developed.error();
  StoredPicture stored;
  stored.colour = *developed;
  stored.orientation = developer.orientation();
  read_raw_metadata(data, limits.metadata, stored.metadata, stored.warnings);
  if (stored.colour.channels() == 3) stored.metadata.icc = srgb_profile();
  return stored;
}

}  // namespace retouchd::image
