// JPEG by libjpeg-turbo. Its errors leave by longjmp, which must not skip a destructor: every call runs in a lambda given to
// `guarded`, and such a lambda owns nothing but plain values; all that needs a destructor lives outside.

#include <fmt/format.h>

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

// Needs FILE and size_t.
#include <jpeglib.h>

// Its list of codes depends on jpeglib.h.
#include <jerror.h>

#include <optional>
#include <type_traits>

#include "image/colour.h"
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
    if (codec.num_components != 1 && codec.num_components != 3 && !is_cmyk()) {
      return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the JPEG has {} components", codec.num_components));
    }
    return {};
  }

  [[nodiscard]] bool is_cmyk() const noexcept { return codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK; }

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

/// libjpeg's destination: pieces for an OutputFile.
struct FileSink {
  jpeg_destination_mgr base{};  // first
  OutputFile* file = nullptr;
  std::array<std::uint8_t, 65'536> piece;

  void restart() {
    base.next_output_byte = piece.data();
    base.free_in_buffer = piece.size();
  }
};

class Encoder {
 public:
  explicit Encoder(OutputFile& file) : file_(file) {
    set_up(errors);
    codec.err = &errors.base;
    sink_.file = &file;
    sink_.base.init_destination = [](j_compress_ptr encoder) { reinterpret_cast<FileSink*>(encoder->dest)->restart(); };
    sink_.base.empty_output_buffer = [](j_compress_ptr encoder) -> boolean {
      auto* sink = reinterpret_cast<FileSink*>(encoder->dest);
      put(encoder, sink->piece.size());
      sink->restart();
      return TRUE;
    };
    sink_.base.term_destination = [](j_compress_ptr encoder) {
      auto* sink = reinterpret_cast<FileSink*>(encoder->dest);
      put(encoder, sink->piece.size() - sink->base.free_in_buffer);
    };
    is_created = guarded(errors, [this] { jpeg_create_compress(&codec); });
    codec.dest = &sink_.base;
  }
  ~Encoder() { jpeg_destroy_compress(&codec); }
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  [[nodiscard]] Error error() const {
    if (file_.failed()) return file_.error();
    const bool is_memory = errors.base.msg_code == JERR_OUT_OF_MEMORY;
    return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                      fmt::format("cannot encode the JPEG: {}", errors.message));
  }

  jpeg_compress_struct codec{};
  JumpingErrors errors;
  bool is_created = false;

 private:
  static void put(j_compress_ptr encoder, std::size_t bytes) {
    auto* sink = reinterpret_cast<FileSink*>(encoder->dest);
    if (sink->file->append({sink->piece.data(), bytes})) return;
    encoder->err->msg_code = JERR_FILE_WRITE;
    leave(reinterpret_cast<j_common_ptr>(encoder));
  }

  OutputFile& file_;
  FileSink sink_;
};

void read_density(const jpeg_decompress_struct& codec, Metadata& metadata) {
  if (!codec.saw_JFIF_marker || codec.density_unit == 0 || codec.X_density == 0 || codec.Y_density == 0) return;
  const double per_inch = codec.density_unit == 2 ? 2.54 : 1.0;
  metadata.dpi_x = codec.X_density * per_inch;
  metadata.dpi_y = codec.Y_density * per_inch;
}

/// What libjpeg and the way to sRGB hold besides the picture: all coefficients of a file of several scans, else some rows.
Bytes working_memory(const Decoder& decoder, bool has_scans) {
  constexpr std::uint64_t kRows = 128;  // of a row of blocks in all stages, subsampled by 4 at most
  const jpeg_decompress_struct& codec = decoder.codec;
  std::uint64_t bytes = mebibytes(1).value + kRows * codec.image_width * static_cast<std::uint64_t>(codec.num_components);
  for (int i = 0; has_scans && i < codec.num_components; ++i) {
    const jpeg_component_info& component = codec.comp_info[i];
    const auto padded = [](JDIMENSION blocks, int factor) {
      return static_cast<std::uint64_t>(blocks) + static_cast<unsigned>(factor);
    };
    bytes += padded(component.width_in_blocks, component.h_samp_factor) *
             padded(component.height_in_blocks, component.v_samp_factor) * sizeof(JBLOCK);
  }
  if (decoder.is_cmyk()) bytes += mebibytes(16).value;  // tables of LittleCMS
  return Bytes{bytes};
}

/// Rows of inks to rows of sRGB.
struct InkRows {
  CmykConverter converter;
  std::vector<std::uint8_t> inks;
  bool is_inverted;  ///< Adobe's files say how much light is left

  void convert(std::uint8_t* rgb) noexcept {
    if (is_inverted) {
      for (std::uint8_t& ink : inks) ink = static_cast<std::uint8_t>(255 - ink);
    }
    converter.convert(inks.data(), rgb, inks.size() / 4);
  }
};

}  // namespace

Result<PictureHeader> read_jpeg_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Decoder decoder(data);
  if (Result<void> read = decoder.read_header(); !read) return read.error();
  PictureHeader header;
  header.format = FileFormat::kJpeg;
  header.width = decoder.codec.image_width;
  header.height = decoder.codec.image_height;
  header.channels = decoder.is_cmyk() ? 3 : decoder.codec.num_components;
  header.progressive = jpeg_has_multiple_scans(&decoder.codec) != FALSE;
  header.working = working_memory(decoder, header.progressive);
  return header;
}

Result<StoredPicture> decode_jpeg(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  Decoder decoder(data);
  if (Result<void> read = decoder.read_header(); !read) return read.error();

  jpeg_decompress_struct& codec = decoder.codec;
  StoredPicture stored;
  read_density(codec, stored.metadata);
  read_jpeg_segments(data, limits.metadata, stored.metadata, stored.warnings);
  const bool is_gray = codec.num_components == 1;
  std::optional<InkRows> ink_rows;
  if (decoder.is_cmyk()) {
    Result<CmykConverter> converter = CmykConverter::open(stored.metadata.icc, CV_8U);
    if (!converter) return converter.error();
    ink_rows.emplace(InkRows{*std::move(converter), std::vector<std::uint8_t>(std::size_t{4} * codec.image_width),
                             codec.saw_Adobe_marker != FALSE});
    stored.metadata.icc = srgb_profile();
    add_warning(stored.warnings, "converted from CMYK to sRGB");
  }
  codec.out_color_space = is_gray ? JCS_GRAYSCALE : ink_rows ? JCS_CMYK : JCS_RGB;
  codec.dct_method = JDCT_ISLOW;
  CountedScans scans;
  scans.base.progress_monitor = count_scans;
  scans.limit = limits.jpeg_scans;
  codec.progress = &scans.base;

  stored.colour =
      memory.make({static_cast<int>(codec.image_width), static_cast<int>(codec.image_height)}, is_gray ? CV_8UC1 : CV_8UC3);
  std::uint8_t* const first_row = stored.colour.data;
  const std::size_t row_bytes = stored.colour.step;
  InkRows* const inks = ink_rows ? &*ink_rows : nullptr;
  const bool is_complete = guarded(decoder.errors, [&codec, first_row, row_bytes, inks] {
    jpeg_start_decompress(&codec);
    while (codec.output_scanline < codec.output_height) {
      std::uint8_t* const rgb = first_row + codec.output_scanline * row_bytes;
      JSAMPROW row = inks != nullptr ? inks->inks.data() : rgb;
      jpeg_read_scanlines(&codec, &row, 1);
      if (inks != nullptr) inks->convert(rgb);
    }
    jpeg_finish_decompress(&codec);
  });
  if (!is_complete || decoder.errors.is_damaged) return decoder.error();
  return stored;
}

Result<void> encode_jpeg(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                         std::string& warnings) {
  const std::vector<JpegSegment> segments = jpeg_segments_of(blocks, warnings);
  Encoder encoder(file);
  jpeg_compress_struct& codec = encoder.codec;
  const cv::Mat& colour = picture.colour;
  const bool is_encoded =
      encoder.is_created && guarded(encoder.errors, [&codec, &colour, &options, &blocks, &segments] {
        codec.image_width = static_cast<JDIMENSION>(colour.cols);
        codec.image_height = static_cast<JDIMENSION>(colour.rows);
        codec.input_components = colour.channels();
        codec.in_color_space = colour.channels() == 1 ? JCS_GRAYSCALE : JCS_RGB;
        jpeg_set_defaults(&codec);
        jpeg_set_quality(&codec, options.jpeg_quality, TRUE);
        codec.dct_method = JDCT_ISLOW;
        if (options.jpeg_quality >= 90) codec.comp_info[0].h_samp_factor = codec.comp_info[0].v_samp_factor = 1;
        if (blocks.dpi_x && blocks.dpi_y && *blocks.dpi_x < 65'535 && *blocks.dpi_y < 65'535) {
          codec.density_unit = 1;
          codec.X_density = static_cast<UINT16>(*blocks.dpi_x + 0.5);
          codec.Y_density = static_cast<UINT16>(*blocks.dpi_y + 0.5);
        }
        jpeg_start_compress(&codec, TRUE);
        for (const JpegSegment& segment : segments) {
          jpeg_write_marker(&codec, segment.marker, segment.payload.data(), static_cast<unsigned>(segment.payload.size()));
        }
        while (codec.next_scanline < codec.image_height) {
          // libjpeg takes rows it never writes to without const.
          JSAMPROW row = const_cast<JSAMPROW>(colour.ptr(static_cast<int>(codec.next_scanline)));
          jpeg_write_scanlines(&codec, &row, 1);
        }
        jpeg_finish_compress(&codec);
      });
  if (!is_encoded) return encoder.error();
  return {};
}

}  // namespace retouchd::image
