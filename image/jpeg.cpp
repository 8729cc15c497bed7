// JPEG by libjpeg-turbo. Its errors leave by longjmp, which must not skip a destructor: every call runs in a lambda given to
// `guarded`, and such a lambda owns nothing but plain values; all that needs a destructor lives outside.

#include <fmt/format.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

// Needs FILE and size_t.
#include <jpeglib.h>

// Its list of codes depends on jpeglib.h.
#include <jerror.h>

#include <memory>
#include <type_traits>

#include "image/format_codec.h"
#include "image/jpeg_segments.h"

namespace retouchd::image {
namespace {

struct JumpingErrors {
  jpeg_error_mgr base{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf jump{};
  bool is_truncated = false;
  bool is_damaged = false;
  bool has_too_many_scans = false;
  char message[JMSG_LENGTH_MAX] = {};
};

void leave(j_common_ptr codec) {
  auto* errors = reinterpret_cast<JumpingErrors*>(codec->err);
  errors->base.format_message(codec, errors->message);
  std::longjmp(errors->jump, 1);
}

// Warnings that mean lost pixels. The rest (extraneous bytes before a marker, a strange Adobe tag) is common and harmless.
bool means_damage(int code) {
  return code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE || code == JWRN_MUST_RESYNC;
}

void note(j_common_ptr codec, int level) {
  auto* errors = reinterpret_cast<JumpingErrors*>(codec->err);
  if (level >= 0) return;
  ++errors->base.num_warnings;
  if (!means_damage(errors->base.msg_code) || errors->is_damaged) return;
  errors->is_damaged = true;
  errors->base.format_message(codec, errors->message);
}

void set_up(JumpingErrors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = leave;
  errors.base.emit_message = note;
}

template <class Step>
[[gnu::noinline]] bool guarded(JumpingErrors& errors, Step step) {
  static_assert(std::is_trivially_destructible_v<Step>);
  if (setjmp(errors.jump) != 0) return false;
  step();
  return true;
}

struct CountedScans {
  jpeg_progress_mgr base{};  // first
  int limit = 0;
};

void count_scans(j_common_ptr codec) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(codec);
  if (decoder->input_scan_number <= reinterpret_cast<CountedScans*>(codec->progress)->limit) return;
  reinterpret_cast<JumpingErrors*>(codec->err)->has_too_many_scans = true;
  leave(codec);
}

class Decoder {
 public:
  explicit Decoder(ByteSpan data) {
    set_up(errors);
    codec.err = &errors.base;
    source_.init_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = [](j_decompress_ptr decoder) -> boolean {
      reinterpret_cast<JumpingErrors*>(decoder->err)->is_truncated = true;
      leave(reinterpret_cast<j_common_ptr>(decoder));
      return FALSE;
    };
    source_.skip_input_data = [](j_decompress_ptr decoder, long bytes) {
      if (bytes <= 0) return;
      if (static_cast<std::size_t>(bytes) > decoder->src->bytes_in_buffer) decoder->src->fill_input_buffer(decoder);
      decoder->src->next_input_byte += bytes;
      decoder->src->bytes_in_buffer -= static_cast<std::size_t>(bytes);
    };
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = [](j_decompress_ptr) {};
    source_.next_input_byte = data.data();
    source_.bytes_in_buffer = data.size();
    is_created_ = guarded(errors, [this] { jpeg_create_decompress(&codec); });
    codec.src = &source_;
  }
  ~Decoder() { jpeg_destroy_decompress(&codec); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Up to the first scan; checks what we can decode.
  Result<void> read_header() {
    if (!is_created_ || !guarded(errors, [this] { jpeg_read_header(&codec, TRUE); })) return error();
    if (codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK) {
      return make_error(ErrorCode::kUnsupportedFormat, "the JPEG is CMYK; only gray and RGB are restored");
    }
    if (codec.num_components != 1 && codec.num_components != 3) {
      return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the JPEG has {} components", codec.num_components));
    }
    return {};
  }

  [[nodiscard]] Error error() const {
    const int code = errors.base.msg_code;
    if (errors.has_too_many_scans)
      return make_error(ErrorCode::kPictureTooLarge, "the JPEG has more scans than limits.jpeg_scans");
    if (errors.is_truncated) return make_error(ErrorCode::kTruncatedPicture, "the JPEG ends early");
    if (code == JERR_BAD_PRECISION) {
      return make_error(ErrorCode::kUnsupportedFormat,
                        fmt::format("the JPEG has {} bits a sample; 8 are supported", codec.data_precision));
    }
    if (code == JERR_SOF_UNSUPPORTED)
      return make_error(ErrorCode::kUnsupportedFormat, "the JPEG is of a lossless or hierarchical kind");
    if (code == JERR_IMAGE_TOO_BIG) {
      return make_error(ErrorCode::kPictureTooLarge,
                        fmt::format("the JPEG says {}x{}; a side may have 65500", codec.image_width, codec.image_height));
    }
    if (code == JERR_OUT_OF_MEMORY) return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the JPEG");
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the JPEG is damaged: {}", errors.message));
  }

  jpeg_decompress_struct codec{};
  JumpingErrors errors;

 private:
  jpeg_source_mgr source_{};
  bool is_created_ = false;
};

class Encoder {
 public:
  Encoder() {
    set_up(errors);
    codec.err = &errors.base;
    is_created = guarded(errors, [this] {
      jpeg_create_compress(&codec);
      jpeg_mem_dest(&codec, &file, &size);
    });
  }
  ~Encoder() {
    jpeg_destroy_compress(&codec);
    std::free(file);  // NOLINT: jpeg_mem_dest allocates by malloc
  }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  [[nodiscard]] Error error() const {
    const bool is_memory = errors.base.msg_code == JERR_OUT_OF_MEMORY;
    return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                      fmt::format("cannot encode the JPEG: {}", errors.message));
  }

  jpeg_compress_struct codec{};
  JumpingErrors errors;
  unsigned char* file = nullptr;
  unsigned long size = 0;
  bool is_created = false;
};

void read_density(const jpeg_decompress_struct& codec, Metadata& metadata) {
  if (!codec.saw_JFIF_marker || codec.density_unit == 0 || codec.X_density == 0 || codec.Y_density == 0) return;
  const double per_inch = codec.density_unit == 2 ? 2.54 : 1.0;
  metadata.dpi_x = codec.X_density * per_inch;
  metadata.dpi_y = codec.Y_density * per_inch;
}

}  // namespace

Result<PictureHeader> read_jpeg_header(ByteSpan data) {
  Decoder decoder(data);
  if (Result<void> read = decoder.read_header(); !read) return read.error();
  PictureHeader header;
  header.format = FileFormat::kJpeg;
  header.width = decoder.codec.image_width;
  header.height = decoder.codec.image_height;
  header.channels = decoder.codec.num_components;
  header.progressive = jpeg_has_multiple_scans(&decoder.codec) != FALSE;
  return header;
}

Result<StoredPicture> decode_jpeg(ByteSpan data, const DecodeLimits& limits) {
  Decoder decoder(data);
  if (Result<void> read = decoder.read_header(); !read) return read.error();

  jpeg_decompress_struct& codec = decoder.codec;
  StoredPicture stored;
  const bool is_gray = codec.num_components == 1;
  codec.out_color_space = is_gray ? JCS_GRAYSCALE : JCS_RGB;
  codec.dct_method = JDCT_ISLOW;
  CountedScans scans;
  scans.base.progress_monitor = count_scans;
  scans.limit = limits.jpeg_scans;
  codec.progress = &scans.base;

  stored.colour.create(static_cast<int>(codec.image_height), static_cast<int>(codec.image_width), is_gray ? CV_8UC1 : CV_8UC3);
  std::uint8_t* const first_row = stored.colour.data;
  const std::size_t row_bytes = stored.colour.step;
  const bool is_complete = guarded(decoder.errors, [&codec, first_row, row_bytes] {
    jpeg_start_decompress(&codec);
    while (codec.output_scanline < codec.output_height) {
      JSAMPROW row = first_row + codec.output_scanline * row_bytes;
      jpeg_read_scanlines(&codec, &row, 1);
    }
    jpeg_finish_decompress(&codec);
  });
  if (!is_complete || decoder.errors.is_damaged) return decoder.error();

  read_density(codec, stored.metadata);
  read_jpeg_segments(data, limits.metadata, stored.metadata, stored.warnings);
  return stored;
}

Result<ByteVector> encode_jpeg(const Picture& picture, const EncodeOptions& options, const Metadata& blocks,
                               std::string& warnings) {
  const std::vector<JpegSegment> segments = jpeg_segments_of(blocks, warnings);
  Encoder encoder;
  jpeg_compress_struct& codec = encoder.codec;
  const cv::Mat& colour = picture.colour;
  const bool is_encoded = encoder.is_created && guarded(encoder.errors, [&codec, &colour, &options, &blocks, &segments] {
                            codec.image_width = static_cast<JDIMENSION>(colour.cols);
                            codec.image_height = static_cast<JDIMENSION>(colour.rows);
                            codec.input_components = colour.channels();
                            codec.in_color_space = colour.channels() == 1 ? JCS_GRAYSCALE : JCS_RGB;
                            jpeg_set_defaults(&codec);
                            jpeg_set_quality(&codec, options.jpeg_quality, TRUE);
                            codec.dct_method = JDCT_ISLOW;
                            if (options.jpeg_quality >= 90)
                              codec.comp_info[0].h_samp_factor = codec.comp_info[0].v_samp_factor = 1;
                            if (blocks.dpi_x && blocks.dpi_y && *blocks.dpi_x < 65'535 && *blocks.dpi_y < 65'535) {
                              codec.density_unit = 1;
                              codec.X_density = static_cast<UINT16>(*blocks.dpi_x + 0.5);
                              codec.Y_density = static_cast<UINT16>(*blocks.dpi_y + 0.5);
                            }
                            jpeg_start_compress(&codec, TRUE);
                            for (const JpegSegment& segment : segments) {
                              jpeg_write_marker(&codec, JPEG_APP0 + segment.app, segment.payload.data(),
                                                static_cast<unsigned>(segment.payload.size()));
                            }
                            while (codec.next_scanline < codec.image_height) {
                              // libjpeg takes rows it never writes to without const.
                              JSAMPROW row = const_cast<JSAMPROW>(colour.ptr(static_cast<int>(codec.next_scanline)));
                              jpeg_write_scanlines(&codec, &row, 1);
                            }
                            jpeg_finish_compress(&codec);
                          });
  if (!is_encoded) return encoder.error();
  return ByteVector(encoder.file, encoder.file + encoder.size);
}

}  // namespace retouchd::image
