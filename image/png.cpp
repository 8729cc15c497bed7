// PNG by libpng. Its errors leave by longjmp, which must not skip a destructor: as in jpeg.cpp, every call runs in a lambda given
// to `guarded`, and such a lambda owns nothing but plain values.

#include <fmt/format.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "image/format_codec.h"
#include "image/png_text.h"

namespace retouchd::image {
namespace {

constexpr double kInchesPerMetre = 1.0 / 0.0254;
constexpr std::size_t kLargeChunk = 1U << 20;  // of compressed pixels: fewer writes

struct JumpingErrors {
  std::jmp_buf jump{};
  bool is_truncated = false;
  std::array<char, 160> message{};
  std::array<char, 160> metadata_warning{};  ///< the first about a chunk that carries metadata
};

void copy_text(std::array<char, 160>& to, const char* text) {
  const std::size_t length = std::min(std::strlen(text), to.size() - 1);
  std::memcpy(to.data(), text, length);
  to[length] = '\0';
}

[[noreturn]] void leave(png_structp png, png_const_charp message) {
  auto* errors = static_cast<JumpingErrors*>(png_get_error_ptr(png));
  copy_text(errors->message, message);
  std::longjmp(errors->jump, 1);
}

void note(png_structp png, png_const_charp message) {
  auto* errors = static_cast<JumpingErrors*>(png_get_error_ptr(png));
  constexpr std::array kChunks{"iCCP", "eXIf", "pHYs", "gAMA", "cHRM", "sRGB"};
  const std::string_view text(message);
  const bool is_metadata = std::any_of(kChunks.begin(), kChunks.end(), [&](const char* name) { return text.starts_with(name); });
  if (is_metadata && errors->metadata_warning[0] == '\0') copy_text(errors->metadata_warning, message);
}

template <class Step>
[[gnu::noinline]] bool guarded(JumpingErrors& errors, Step step) {
  static_assert(std::is_trivially_destructible_v<Step>);
  if (setjmp(errors.jump) != 0) return false;
  step();
  return true;
}

class Reader {
 public:
  /// `is_header_only` leaves out the metadata chunks, which cost memory.
  Reader(ByteSpan data, Bytes metadata_limit, bool is_header_only) : rest_(data) {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &errors, leave, note);
    if (png == nullptr) return;
    is_ready_ = guarded(errors, [this, metadata_limit, is_header_only] {
      info = png_create_info_struct(png);
      if (info == nullptr) png_error(png, "out of memory");
      png_set_read_fn(png, this, read);
      png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_chunk_malloc_max(png, metadata_limit.value);
      png_set_benign_errors(png, 1);
      static constexpr png_byte kMetadataChunks[] = "eXIf\0iCCP\0sPLT\0hIST\0pCAL\0sCAL\0";
      // Text is read by png_text.cpp, which inflates only what it knows.
      static constexpr png_byte kTextChunks[] = "tEXt\0zTXt\0iTXt\0";
      png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kTextChunks, 3);
      if (is_header_only) png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kMetadataChunks, 6);
      png_set_read_user_chunk_fn(png, this, see_unknown);
    });
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Up to the first pixels.
  [[nodiscard]] bool read_info() {
    return is_ready_ && guarded(errors, [this] { png_read_info(png, info); });
  }

  [[nodiscard]] Error error() const {
    if (errors.is_truncated) return make_error(ErrorCode::kTruncatedPicture, "the PNG ends early");
    const std::string_view message(errors.message.data());
    if (png == nullptr || message.find("emory") != std::string_view::npos) {
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory to decode the PNG");
    }
    return make_error(ErrorCode::kCorruptPicture, fmt::format("the PNG is damaged: {}", message));
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  JumpingErrors errors;
  bool is_animation = false;

 private:
  static void read(png_structp png, png_bytep to, std::size_t count) {
    auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
    if (count > reader->rest_.size()) {
      reader->errors.is_truncated = true;
      png_error(png, "the data end");
    }
    std::memcpy(to, reader->rest_.data(), count);
    reader->rest_ = reader->rest_.subspan(count);
  }

  static int see_unknown(png_structp png, png_unknown_chunkp chunk) {
    auto* reader = static_cast<Reader*>(png_get_user_chunk_ptr(png));
    if (std::memcmp(chunk->name, "acTL", 4) == 0) reader->is_animation = true;
    return 1;  // dealt with: libpng keeps no copy
  }

  ByteSpan rest_;
  bool is_ready_ = false;
};

PictureHeader header_of(png_structp png, png_infop info) {
  PictureHeader header;
  header.format = FileFormat::kPng;
  header.width = png_get_image_width(png, info);
  header.height = png_get_image_height(png, info);
  const int type = png_get_color_type(png, info);
  const bool has_alpha = (type & PNG_COLOR_MASK_ALPHA) != 0 || png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  header.channels = ((type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1) + (has_alpha ? 1 : 0);
  header.bits = png_get_bit_depth(png, info) == 16 ? 16 : 8;
  return header;
}

/// Copies libpng's blocks; nothing here can leave by longjmp.
void read_chunks(Reader& reader, Bytes limit, StoredPicture& stored) {
  png_structp png = reader.png;
  png_infop info = reader.info;
  Metadata& metadata = stored.metadata;
  png_uint_32 size = 0;
  png_bytep bytes = nullptr;
  if (png_get_eXIf_1(png, info, &size, &bytes) != 0 && fits_limit(size, limit, "EXIF", stored.warnings)) {
    metadata.exif.assign(bytes, bytes + size);
  }
  png_charp name = nullptr;
  int compression = 0;
  if (png_get_iCCP(png, info, &name, &compression, &bytes, &size) != 0 && fits_limit(size, limit, "ICC", stored.warnings)) {
    metadata.icc.assign(bytes, bytes + size);
  }
  // A profile speaks for itself; so does sRGB, from which libpng derives the other two.
  int intent = 0;
  png_fixed_point gamma = 0;
  std::array<png_fixed_point, 8> xy{};
  if (!metadata.icc.empty()) {
  } else if (png_get_sRGB(png, info, &intent) != 0) {
    metadata.srgb_intent = intent;
  } else {
    if (png_get_gAMA_fixed(png, info, &gamma) != 0) metadata.gamma = gamma;
    if (png_get_cHRM_fixed(png, info, &xy[0], &xy[1], &xy[2], &xy[3], &xy[4], &xy[5], &xy[6], &xy[7]) != 0) {
      metadata.chromaticities.emplace();
      std::copy(xy.begin(), xy.end(), metadata.chromaticities->begin());
    }
  }
  png_uint_32 x = 0;
  png_uint_32 y = 0;
  int unit = 0;
  if (png_get_pHYs(png, info, &x, &y, &unit) != 0 && unit == PNG_RESOLUTION_METER && x > 0 && y > 0) {
    metadata.dpi_x = x / kInchesPerMetre;
    metadata.dpi_y = y / kInchesPerMetre;
  }
  if (reader.errors.metadata_warning[0] != '\0') {
    add_warning(stored.warnings,
                fmt::format("of the PNG's metadata not all could be read: {}", reader.errors.metadata_warning.data()));
  }
  if (reader.is_animation) add_warning(stored.warnings, "the PNG is an animation, of which only the first picture is restored");
}

class Writer {
 public:
  explicit Writer(OutputFile& file) : file_(file) {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &errors, leave, note);
    if (png == nullptr) return;
    is_ready = guarded(errors, [this] {
      info = png_create_info_struct(png);
      if (info == nullptr) png_error(png, "out of memory");
      png_set_write_fn(png, this, write, nullptr);
      png_set_benign_errors(png, 1);  // a profile that libpng refuses is left out; the picture is not lost for it
    });
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  [[nodiscard]] Error error() const {
    if (file_.failed()) return file_.error();
    const bool is_memory = png == nullptr || std::string_view(errors.message.data()).find("emory") != std::string_view::npos;
    return make_error(is_memory ? ErrorCode::kOverMemoryBudget : ErrorCode::kInternal,
                      fmt::format("cannot encode the PNG: {}", is_memory ? "not enough memory" : errors.message.data()));
  }

  png_structp png = nullptr;
  png_infop info = nullptr;
  JumpingErrors errors;
  bool is_ready = false;

 private:
  static void write(png_structp png, png_bytep bytes, std::size_t count) {
    auto* writer = static_cast<Writer*>(png_get_io_ptr(png));
    if (!writer->file_.append({bytes, count})) png_error(png, "the file cannot be written");
  }

  OutputFile& file_;
};

/// Runs inside `guarded`.
void set_colour(png_structp png, png_infop info, const Metadata& blocks) {
  if (!blocks.icc.empty()) {
    png_set_iCCP(png, info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, blocks.icc.data(),
                 static_cast<png_uint_32>(blocks.icc.size()));
  } else if (blocks.srgb_intent) {
    png_set_sRGB(png, info, *blocks.srgb_intent);
  } else {
    if (blocks.gamma) png_set_gAMA_fixed(png, info, *blocks.gamma);
    if (blocks.chromaticities) {
      const auto& xy = *blocks.chromaticities;
      png_set_cHRM_fixed(png, info, xy[0], xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7]);
    }
  }
  if (blocks.dpi_x && blocks.dpi_y) {
    png_set_pHYs(png, info, static_cast<png_uint_32>(*blocks.dpi_x * kInchesPerMetre + 0.5),
                 static_cast<png_uint_32>(*blocks.dpi_y * kInchesPerMetre + 0.5), PNG_RESOLUTION_METER);
  }
}

/// Runs inside `guarded`. libpng copies what it is given and writes to none of it.
void set_blocks(png_structp png, png_infop info, const Metadata& blocks, const std::vector<PngText>& texts) {
  if (!blocks.exif.empty()) {
    png_set_eXIf_1(png, info, static_cast<png_uint_32>(blocks.exif.size()), const_cast<png_bytep>(blocks.exif.data()));
  }
  for (const PngText& text : texts) {
    png_text entry{};
    entry.key = const_cast<char*>(text.keyword.c_str());
    entry.text = const_cast<char*>(text.text.c_str());
    if (text.is_utf8) {
      entry.compression = text.is_deflated ? PNG_ITXT_COMPRESSION_zTXt : PNG_ITXT_COMPRESSION_NONE;
      entry.itxt_length = text.text.size();
    } else {
      entry.compression = text.is_deflated ? PNG_TEXT_COMPRESSION_zTXt : PNG_TEXT_COMPRESSION_NONE;
      entry.text_length = text.text.size();
    }
    png_set_text(png, info, &entry, 1);
  }
}

int colour_type(int channels) {
  switch (channels) {
    case 1:
      return PNG_COLOR_TYPE_GRAY;
    case 2:
      return PNG_COLOR_TYPE_GRAY_ALPHA;
    case 3:
      return PNG_COLOR_TYPE_RGB;
    default:
      return PNG_COLOR_TYPE_RGB_ALPHA;
  }
}

/// One row of a picture: `channels` samples of colour and one of alpha beside each other, or each in its own plane.
template <class Sample>
struct AlphaRow {
  static void split(const std::uint8_t* row, int width, int channels, std::uint8_t* colour, std::uint8_t* alpha) {
    const auto* from = reinterpret_cast<const Sample*>(row);
    auto* to = reinterpret_cast<Sample*>(colour);
    auto* cover = reinterpret_cast<Sample*>(alpha);
    if (channels == 1) {
      for (int x = 0; x < width; ++x, from += 2) to[x] = from[0], cover[x] = from[1];
    } else {
      for (int x = 0; x < width; ++x, from += 4, to += 3) to[0] = from[0], to[1] = from[1], to[2] = from[2], cover[x] = from[3];
    }
  }

  static void join(const std::uint8_t* colour, const std::uint8_t* alpha, int width, int channels, std::uint8_t* row) {
    const auto* from = reinterpret_cast<const Sample*>(colour);
    const auto* cover = reinterpret_cast<const Sample*>(alpha);
    auto* to = reinterpret_cast<Sample*>(row);
    if (channels == 1) {
      for (int x = 0; x < width; ++x, to += 2) to[0] = from[x], to[1] = cover[x];
    } else {
      for (int x = 0; x < width; ++x, from += 3, to += 4) to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = cover[x];
    }
  }
};

void split_row(const std::uint8_t* row, cv::Mat& colour, cv::Mat& alpha, int y) {
  const auto split = colour.depth() == CV_16U ? AlphaRow<std::uint16_t>::split : AlphaRow<std::uint8_t>::split;
  split(row, colour.cols, colour.channels(), colour.ptr(y), alpha.ptr(y));
}

void join_row(const cv::Mat& colour, const cv::Mat& alpha, int y, std::uint8_t* row) {
  const auto join = colour.depth() == CV_16U ? AlphaRow<std::uint16_t>::join : AlphaRow<std::uint8_t>::join;
  join(colour.ptr(y), alpha.ptr(y), colour.cols, colour.channels(), row);
}

/// Runs inside `guarded`. With alpha each row goes through `row`; the passes of an interlaced picture add to what is there.
void read_rows(png_structp png, cv::Mat& colour, cv::Mat& alpha, std::uint8_t* row, int passes) {
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < colour.rows; ++y) {
      if (alpha.empty()) {
        png_read_row(png, colour.ptr(y), nullptr);
        continue;
      }
      if (pass > 0) join_row(colour, alpha, y, row);
      png_read_row(png, row, nullptr);
      split_row(row, colour, alpha, y);
    }
  }
}

template <class Sample>
bool repeats(const cv::Mat& colour) {
  constexpr int kEveryRow = 16;
  const int channels = colour.channels();
  std::size_t equal = 0;
  std::size_t all = 1;
  for (int y = 0; y < colour.rows; y += kEveryRow) {
    const auto* row = colour.ptr<Sample>(y);
    const std::size_t samples = static_cast<std::size_t>(colour.cols) * static_cast<std::size_t>(channels);
    for (std::size_t i = static_cast<std::size_t>(channels); i < samples; ++i) {
      equal += row[i] == row[i - static_cast<std::size_t>(channels)] ? 1U : 0U;
    }
    all += samples;
  }
  return equal * 2 > all;
}

/// Runs inside `guarded`. In photographs deflate finds next to nothing that repeats, and searching for it takes most of the time:
/// with the average of left and upper neighbour as the only filter and runs as the only repetitions, level 3 is 3 to 5 times as
/// fast as libpng's own choice, and files are 13 % smaller (8 bits) and 3 % (16 bits), 4 % larger where a photograph is very
/// smooth. Drawings, whose pixels mostly equal their neighbours, would become three times as large.
void set_compression(png_structp png, const cv::Mat& colour, int level) {
  constexpr int kFirstThorough = 6;
  png_set_compression_level(png, std::clamp(level, 0, 9));
  png_set_compression_buffer_size(png, kLargeChunk);
  const bool is_drawing = colour.depth() == CV_16U ? repeats<std::uint16_t>(colour) : repeats<std::uint8_t>(colour);
  if (level <= 0 || level >= kFirstThorough || is_drawing) return;
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_AVG);
  png_set_compression_strategy(png, Z_RLE);
}

}  // namespace

Result<PictureHeader> read_png_header(ByteSpan data, const DecodeLimits& /*limits*/) {
  Reader reader(data, mebibytes(1), true);
  if (!reader.read_info()) return reader.error();
  PictureHeader header = header_of(reader.png, reader.info);
  // libpng's two rows, ours for alpha, and zlib's window.
  constexpr std::uint64_t kRows = 4;
  header.working = Bytes{kRows * 8 * header.width} + kibibytes(256);
  return header;
}

Result<StoredPicture> decode_png(ByteSpan data, const DecodeLimits& limits, PlaneMemory& memory) {
  Reader reader(data, limits.metadata, false);
  if (!reader.read_info()) return reader.error();
  const PictureHeader header = header_of(reader.png, reader.info);
  const cv::Size size(static_cast<int>(header.width), static_cast<int>(header.height));
  const int depth = header.bits == 16 ? CV_16U : CV_8U;
  const bool has_alpha = header.channels == 2 || header.channels == 4;
  StoredPicture stored;
  stored.colour = memory.make(size, CV_MAKETYPE(depth, header.channels > 2 ? 3 : 1));
  if (has_alpha) stored.alpha = memory.make(size, CV_MAKETYPE(depth, 1));
  const std::size_t row_bytes = static_cast<std::size_t>(header.channels) * header.width * (header.bits == 16 ? 2 : 1);
  std::vector<std::uint8_t> row(has_alpha ? row_bytes : 0);

  png_structp png = reader.png;
  png_infop info = reader.info;
  const bool is_complete = guarded(reader.errors, [png, info, row_bytes, &stored, &row] {
    png_set_expand(png);  // palettes and few bits to 8, tRNS to alpha
    if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
    const int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != row_bytes) png_error(png, "rows of an unexpected length");
    read_rows(png, stored.colour, stored.alpha, row.data(), passes);
    png_read_end(png, info);
  });
  if (!is_complete) return reader.error();
  read_chunks(reader, limits.metadata, stored);
  read_png_text(data, limits.metadata, stored.metadata, stored.warnings);
  return stored;
}

Result<void> encode_png(const Picture& picture, const EncodeOptions& options, const Metadata& blocks, OutputFile& file,
                        std::string& warnings) {
  const cv::Mat& colour = picture.colour;
  const cv::Mat& alpha = picture.alpha;
  const int channels = colour.channels() + (alpha.empty() ? 0 : 1);
  std::vector<std::uint8_t> row(alpha.empty() ? 0 : colour.elemSize1() * static_cast<std::size_t>(channels * colour.cols));
  const std::vector<PngText> texts = png_texts_of(blocks, warnings);
  Writer writer(file);
  png_structp png = writer.png;
  png_infop info = writer.info;
  const bool is_encoded =
      writer.is_ready && guarded(writer.errors, [png, info, channels, &colour, &alpha, &row, &options, &blocks, &texts] {
        set_compression(png, colour, options.png_level);
        png_set_IHDR(png, info, static_cast<png_uint_32>(colour.cols), static_cast<png_uint_32>(colour.rows),
                     colour.depth() == CV_16U ? 16 : 8, colour_type(channels), PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                     PNG_FILTER_TYPE_DEFAULT);
        set_colour(png, info, blocks);
        set_blocks(png, info, blocks, texts);
        png_write_info(png, info);
        if constexpr (std::endian::native == std::endian::little) png_set_swap(png);
        for (int y = 0; y < colour.rows; ++y) {
          if (!alpha.empty()) join_row(colour, alpha, y, row.data());
          png_write_row(png, alpha.empty() ? colour.ptr(y) : row.data());
        }
        png_write_end(png, nullptr);  // with info it would write EXIF a second time
      });
  if (!is_encoded) return writer.error();
  if (!blocks.icc.empty() && png_get_valid(png, info, PNG_INFO_iCCP) == 0) {
    add_warning(warnings, "the ICC profile breaks the rules of PNG and is not kept");
  }
  return {};
}

}  // namespace retouchd::image
