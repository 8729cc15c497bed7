#include "tests/malformed/bombs.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string_view>

#include "bench/support/camera_files.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::malformed {
namespace {

using image::ByteVector;
using image::testing::JpegKind;
using image::testing::make_pattern;
using image::testing::png_chunk;
using image::testing::PngHeader;
using image::testing::write_jpeg;
using image::testing::write_png;

void append(ByteVector& bytes, const ByteVector& more) { std::copy(more.begin(), more.end(), std::back_inserter(bytes)); }

void append(ByteVector& bytes, std::string_view text) { std::copy(text.begin(), text.end(), std::back_inserter(bytes)); }

ByteVector bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

ByteVector number(std::uint64_t value, int size, bool is_little) {
  ByteVector bytes(static_cast<std::size_t>(size));
  for (int i = 0; i < size; ++i)
    bytes[static_cast<std::size_t>(is_little ? i : size - 1 - i)] = static_cast<std::uint8_t>(value >> (8 * i));
  return bytes;
}

ByteVector joined(std::initializer_list<ByteVector> parts) {
  ByteVector all;
  for (const ByteVector& part : parts) append(all, part);
  return all;
}

/// `count` zeros, packed.
ByteVector packed_zeros(std::uint64_t count) {
  z_stream stream{};
  if (deflateInit(&stream, 9) != Z_OK) throw std::runtime_error("deflateInit");
  ByteVector zeros(1U << 20);
  ByteVector room(1U << 16);
  ByteVector packed;
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0 && count > 0) {
      stream.next_in = zeros.data();
      stream.avail_in = static_cast<uInt>(std::min<std::uint64_t>(count, zeros.size()));
      count -= stream.avail_in;
    }
    stream.next_out = room.data();
    stream.avail_out = static_cast<uInt>(room.size());
    state = deflate(&stream, count == 0 ? Z_FINISH : Z_NO_FLUSH);
    packed.insert(packed.end(), room.begin(), room.end() - static_cast<std::ptrdiff_t>(stream.avail_out));
  }
  deflateEnd(&stream);
  return packed;
}

ByteVector png_of_zeros(std::uint32_t side, int bits) {
  ByteVector file = bytes_of("\x89PNG\r\n\x1A\n");
  append(
      file,
      png_chunk("IHDR", joined({number(side, 4, false), number(side, 4, false), {static_cast<std::uint8_t>(bits), 0, 0, 0, 0}})));
  append(file, png_chunk("IDAT", packed_zeros(static_cast<std::uint64_t>(side) *
                                              (static_cast<std::uint64_t>(side) * static_cast<unsigned>(bits) / 8 + 1))));
  append(file, png_chunk("IEND", {}));
  return file;
}

/// A PNG of 8 x 8 pixels with these chunks before its pixels.
ByteVector png_with(const ByteVector& chunks) { return write_png({8, 8, 8, 0}, chunks, ByteVector(72)); }

ByteVector jpeg_of(std::uint16_t width, std::uint16_t height, JpegKind kind) {
  ByteVector file = write_jpeg(make_pattern(16, 16, CV_8UC3), kind);
  for (std::size_t at = 2; at + 9 < file.size(); at += 2 + (static_cast<std::size_t>(file[at + 2]) << 8 | file[at + 3])) {
    if (file[at + 1] < 0xC0 || file[at + 1] > 0xC2) continue;
    const ByteVector sides = joined({number(height, 2, false), number(width, 2, false)});
    std::copy(sides.begin(), sides.end(), file.begin() + static_cast<std::ptrdiff_t>(at + 5));
    break;
  }
  return file;
}

/// The last scan again and again.
ByteVector jpeg_of_scans(int scans) {
  ByteVector file = write_jpeg(make_pattern(16, 16, CV_8UC3), JpegKind::kProgressive);
  std::size_t last = 0;
  for (std::size_t at = 2; at + 2 < file.size(); ++at)
    if (file[at] == 0xFF && file[at + 1] == 0xDA) last = at;
  const ByteVector scan(file.begin() + static_cast<std::ptrdiff_t>(last), file.end() - 2);
  file.resize(file.size() - 2);
  for (int i = 0; i < scans; ++i) append(file, scan);
  append(file, ByteVector{0xFF, 0xD9});
  return file;
}

struct Entry {
  int tag;
  int type;
  std::uint32_t count;
  std::uint32_t value;
};

ByteVector tiff_directory(const std::vector<Entry>& entries, std::uint32_t next) {
  ByteVector bytes = number(entries.size(), 2, true);
  for (const Entry& entry : entries) {
    append(bytes, number(static_cast<std::uint64_t>(entry.tag), 2, true));
    append(bytes, number(static_cast<std::uint64_t>(entry.type), 2, true));
    append(bytes, number(entry.count, 4, true));
    append(bytes, number(entry.value, 4, true));
  }
  append(bytes, number(next, 4, true));
  return bytes;
}

std::vector<Entry> gray_tiff(std::uint32_t side, std::uint32_t rows_per_strip, std::uint32_t offset, std::uint32_t bytes) {
  return {{256, 4, 1, side}, {257, 4, 1, side},           {258, 3, 1, 8},    {259, 3, 1, 8}, {262, 3, 1, 1}, {273, 4, 1, offset},
          {277, 3, 1, 1},    {278, 4, 1, rows_per_strip}, {279, 4, 1, bytes}};
}

ByteVector tiff_file(const std::vector<Entry>& entries, std::uint32_t next, const ByteVector& behind) {
  return joined({bytes_of({"II*\0\x08\0\0\0", 8}), tiff_directory(entries, next), behind});
}

constexpr std::uint32_t kBehindOne = 8 + 2 + 9 * 12 + 4;  // header and one directory of gray_tiff()

ByteVector tiff_of_directories(std::uint32_t count) {
  ByteVector file = tiff_file(gray_tiff(8, 8, kBehindOne, 16), kBehindOne + 16, ByteVector(16));
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto next = static_cast<std::uint32_t>(file.size()) + 18;
    append(file, tiff_directory({{256, 4, 1, 8}}, i + 1 == count ? 0 : next));
  }
  return file;
}

ByteVector riff(std::string_view chunks) {
  ByteVector file = bytes_of("RIFF");
  append(file, number(chunks.size() + 4, 4, true));
  append(file, "WEBP");
  append(file, chunks);
  return file;
}

ByteVector animated_png(std::uint32_t frames) {
  ByteVector rows(72);
  const ByteVector packed = image::testing::deflated(rows);
  const auto control = [](std::uint32_t sequence) {
    return png_chunk(
        "fcTL",
        joined({number(sequence, 4, false), number(8, 4, false), number(8, 4, false), number(0, 8, false), {0, 1, 0, 10, 0, 0}}));
  };
  ByteVector file = write_png(
      {8, 8, 8, 0}, joined({png_chunk("acTL", joined({number(frames, 4, false), number(0, 4, false)})), control(0)}), rows);
  file.resize(file.size() - 12);
  std::uint32_t sequence = 1;
  for (std::uint32_t i = 1; i < frames; ++i) {
    append(file, control(sequence++));
    append(file, png_chunk("fdAT", joined({number(sequence++, 4, false), packed})));
  }
  append(file, png_chunk("IEND", {}));
  return file;
}

/// A picture that is derived from one that is derived from it, on and on. Empty where no HEIC can be written.
ByteVector heic_of_itself() {
  ByteVector file = bench::write_heic(make_pattern(64, 48, CV_8UC3), image::testing::make_exif(1));
  const auto find = [&](std::string_view text) { return std::search(file.begin(), file.end(), text.begin(), text.end()); };
  const auto replace = [](ByteVector::iterator at, std::string_view text) { std::copy(text.begin(), text.end(), at); };
  const auto coded = find("hvc1");
  const auto reference = find("cdsc");  // of the EXIF to the picture
  if (coded == file.end() || reference == file.end()) return {};
  const ByteVector id(coded - 4, coded - 2);
  replace(coded, "iden");
  replace(reference, "dimg");
  std::copy(id.begin(), id.end(), reference + 4);
  return file;
}

ByteVector icc_bomb(std::uint64_t size) {
  ByteVector chunk = bytes_of({"bomb\0\0", 6});
  append(chunk, packed_zeros(size));
  return png_with(png_chunk("iCCP", chunk));
}

ByteVector text_bomb(std::uint64_t size) {
  ByteVector chunk = bytes_of({"XML:com.adobe.xmp\0\1\0\0\0", 22});
  append(chunk, packed_zeros(size));
  return png_with(png_chunk("iTXt", chunk));
}

}  // namespace

std::vector<Bomb> make_bombs() {
  std::vector<Bomb> bombs;
  const auto add = [&](std::string name, std::string suffix, ByteVector file) {
    bombs.push_back({std::move(name), std::move(suffix), std::move(file)});
  };
  add("png-60000x60000", ".png", write_png({60'000, 60'000, 16, 6}, {}, {0}));
  add("png-2147483647", ".png", write_png({0x7FFF'FFFF, 0x7FFF'FFFF, 16, 6}, {}, {0}));
  add("png-0x0", ".png", write_png({0, 0, 8, 2}, {}, {0}));
  add("png-zeros-30000", ".png", png_of_zeros(30'000, 1));
  add("png-profile-100mb", ".png", icc_bomb(100'000'000));
  add("png-text-100mb", ".png", text_bomb(100'000'000));
  add("png-animated-1000", ".png", animated_png(1000));
  add("jpeg-65500x65500", ".jpg", jpeg_of(65'500, 65'500, JpegKind::kBaseline));
  add("jpeg-progressive-65500x65500", ".jpg", jpeg_of(65'500, 65'500, JpegKind::kProgressive));
  add("jpeg-progressive-12000x12000", ".jpg", jpeg_of(12'000, 12'000, JpegKind::kProgressive));
  add("jpeg-0x0", ".jpg", jpeg_of(0, 0, JpegKind::kBaseline));
  add("jpeg-1000-scans", ".jpg", jpeg_of_scans(1000));
  add("tiff-60000x60000", ".tif", tiff_file(gray_tiff(60'000, 60'000, kBehindOne, 64), 0, ByteVector(64)));
  const ByteVector zeros = packed_zeros(20'000ULL * 20'000);
  add("tiff-zeros-20000", ".tif",
      tiff_file(gray_tiff(20'000, 20'000, kBehindOne, static_cast<std::uint32_t>(zeros.size())), 0, zeros));
  add("tiff-self", ".tif", tiff_file(gray_tiff(8, 8, kBehindOne, 16), 8, ByteVector(16)));
  add("tiff-20000-directories", ".tif", tiff_of_directories(20'000));
  add("tiff-2000000000-strips", ".tif",
      tiff_file({{256, 4, 1, 8},
                 {257, 4, 1, 2'000'000'000},
                 {258, 3, 1, 8},
                 {259, 3, 1, 1},
                 {262, 3, 1, 1},
                 {273, 4, 2'000'000'000, 8},
                 {277, 3, 1, 1},
                 {278, 4, 1, 1},
                 {279, 4, 2'000'000'000, 8}},
                0, {}));
  add("tiff-65535-samples", ".tif",
      tiff_file({{256, 4, 1, 8},
                 {257, 4, 1, 8},
                 {258, 3, 1, 8},
                 {259, 3, 1, 1},
                 {262, 3, 1, 2},
                 {273, 4, 1, 8},
                 {277, 3, 1, 65'535},
                 {278, 4, 1, 8},
                 {279, 4, 1, 64}},
                0, ByteVector(64)));
  add("webp-16384x16384", ".webp", riff({"VP8X\x0A\0\0\0\0\0\0\0\xFF\x3F\0\xFF\x3F\0", 18}));
  add("webp-lossless-16384x16384", ".webp", riff({"VP8L\x06\0\0\0\x2F\xFF\xFF\xFF\x0F\0", 14}));
  add("jxl-1073741824x1073741824", ".jxl", joined({{0xFF, 0x0A, 0xFE, 0xFF, 0xFF, 0xFF, 0x0F}, ByteVector(64)}));
  add("heic-of-itself", ".heic", heic_of_itself());
  add("pnm-60000x60000", ".ppm", bytes_of("P6\n60000 60000\n255\nabc"));
  add("pnm-99999999999", ".pgm", bytes_of("P5\n99999999999999999999 99999999999999999999\n255\nabc"));
  add("pnm-text-20000", ".pgm", bytes_of("P2\n20000 20000\n255\n0 0 0 0"));
  return bombs;
}

std::vector<Bomb> make_large_bombs() {
  std::vector<Bomb> bombs;
  bombs.push_back({"png-zeros-19000", ".png", png_of_zeros(19'000, 8)});
  bombs.push_back({"png-animated-10000", ".png", animated_png(10'000)});
  bombs.push_back({"tiff-1000000-directories", ".tif", tiff_of_directories(1'000'000)});
  bombs.push_back({"png-exif-100mb", ".png",
                   png_with(png_chunk("eXIf", joined({bytes_of({"II*\0\x08\0\0\0", 8}), ByteVector(100'000'000)})))});
  return bombs;
}

std::vector<Bomb> make_strangers() {
  std::vector<Bomb> files;
  const auto add = [&](std::string name, std::string suffix, ByteVector file) {
    files.push_back({std::move(name), std::move(suffix), std::move(file)});
  };
  constexpr std::string_view kSuffixes[] = {".jpg", ".png", ".tif", ".webp", ".avif", ".heic", ".jxl", ".ppm", ".dng"};
  std::mt19937 random(3);
  for (const std::string_view suffix : kSuffixes) {
    add("empty", std::string(suffix), {});
    add("one-byte", std::string(suffix), {0xFF});
    ByteVector noise(64 + random() % 4096);
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random());
    add("noise", std::string(suffix), std::move(noise));
    add("zeros", std::string(suffix), ByteVector(4096));
  }
  add("pdf", ".jpg", bytes_of("%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n"));
  add("gif", ".png", bytes_of({"GIF89a\x10\0\x10\0\0\0\0;", 14}));
  add("bmp", ".jpg", joined({bytes_of("BM"), ByteVector(100)}));
  add("svg", ".png", bytes_of("<svg xmlns='http://www.w3.org/2000/svg'/>"));
  add("letter", ".jpg", bytes_of("Dear all,\nthis is no picture.\n"));
  add("zip", ".webp", joined({bytes_of("PK\x03\x04"), ByteVector(100)}));
  add("elf", ".tif",
      joined({bytes_of("\x7F"
                       "ELF"),
              ByteVector(200)}));
  add("ftyp", ".heic", joined({number(24, 4, false), bytes_of({"ftypmp42\0\0\0\0mp42isom", 20})}));
  return files;
}

}  // namespace retouchd::malformed
