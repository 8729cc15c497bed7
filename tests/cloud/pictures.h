#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "image/codec.h"
#include "image/metadata.h"
#include "tests/image/sample_files.h"
#include "tests/image/sample_pictures.h"

/// Pictures to send away. Their metadata hold words that must never leave the house.
namespace retouchd::cloud {

using image::ByteVector;

/// Of image::testing::make_exif(), make_xmp(), make_iptc(), and of with_secrets().
inline const std::vector<std::string> kSecrets{"Lomo",           "A. Photographer", "2024:05:06",   "SECRET-GPS",
                                               "SECRET-COMMENT", "SECRET-TRAILER",  "SECRET-MAKER", "SECRET-THUMBNAIL",
                                               "acsp",           "xmpmeta"};

inline std::string text_of(const ByteVector& bytes) { return {bytes.begin(), bytes.end()}; }
inline ByteVector bytes_of_text(std::string_view text) { return {text.begin(), text.end()}; }

inline std::string encoded(const image::Picture& picture, image::FileFormat format) {
  image::EncodeOptions options;
  options.png_level = 1;
  const auto file = image::encode(picture, format, options);
  return file ? text_of(*file) : std::string();
}

inline std::string encoded(const cv::Mat& pixels, image::FileFormat format) {
  image::Picture picture;
  picture.colour = pixels;
  return encoded(picture, format);
}

inline image::Picture decoded(std::string_view file) {
  auto picture = image::decode(bytes_of_text(file), {});
  return picture ? std::move(*picture) : image::Picture();
}

/// `jpeg` with one more segment, right behind SOI.
inline ByteVector with_segment(const ByteVector& jpeg, std::uint8_t marker, const ByteVector& payload) {
  const std::size_t length = payload.size() + 2;
  ByteVector file(jpeg.begin(), jpeg.begin() + 2);
  for (const std::size_t byte : {std::size_t{0xFF}, std::size_t{marker}, length >> 8, length & 0xFF})
    file.push_back(static_cast<std::uint8_t>(byte));
  std::copy(payload.begin(), payload.end(), std::back_inserter(file));
  std::copy(jpeg.begin() + 2, jpeg.end(), std::back_inserter(file));
  return file;
}

/// EXIF with this orientation, GPS and so on; XMP, IPTC, ICC, comments, unknown segments, a thumbnail in JFIF's extension, a
/// comment between the last scan and the end, and a second picture behind it.
inline ByteVector with_secrets(ByteVector jpeg, int orientation) {
  using namespace std::string_literals;
  const ByteVector comment = bytes_of_text("\xFF\xFE\x00\x10SECRET-COMMENT"s);
  jpeg.insert(jpeg.end() - 2, comment.begin(), comment.end());
  ByteVector exif = bytes_of_text("Exif\0\0"s);
  const ByteVector tags = image::testing::make_exif(orientation);
  exif.insert(exif.end(), tags.begin(), tags.end());
  ByteVector icc = bytes_of_text("ICC_PROFILE\0\1\1"s);
  const ByteVector profile = image::testing::make_icc("RGB ");
  icc.insert(icc.end(), profile.begin(), profile.end());
  jpeg = with_segment(jpeg, 0xE2, icc);
  jpeg = with_segment(jpeg, 0xE1, bytes_of_text("http://ns.adobe.com/xap/1.0/\0"s + image::testing::make_xmp()));
  jpeg = with_segment(jpeg, 0xE1, exif);
  jpeg = with_segment(jpeg, 0xFE, bytes_of_text("SECRET-COMMENT"));
  jpeg = with_segment(jpeg, 0xED, bytes_of_text("Photoshop 3.0\0SECRET-MAKER"s));
  jpeg = with_segment(jpeg, 0xE5, bytes_of_text("SECRET-MAKER"));
  jpeg = with_segment(jpeg, 0xEF, bytes_of_text("SECRET-GPS"));
  jpeg = with_segment(jpeg, 0xE0, bytes_of_text("JFXX\0\x10SECRET-THUMBNAIL"s));
  const ByteVector trailer = bytes_of_text("SECRET-TRAILER");
  jpeg.insert(jpeg.end(), trailer.begin(), trailer.end());
  return jpeg;
}

/// A JPEG photograph with all of that, stored so that `orientation` makes it upright.
inline ByteVector secret_jpeg(int width, int height, int orientation, int type = CV_8UC3) {
  const auto pixels = image::testing::make_pattern(width, height, type);
  return with_secrets(image::testing::write_jpeg(pixels, image::testing::JpegKind::kBaseline), orientation);
}

inline void write_bytes(const std::filesystem::path& path, const ByteVector& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace retouchd::cloud
