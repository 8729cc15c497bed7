#include "tests/image/sample_pictures.h"

#include <algorithm>
#include <cmath>
#include <exiv2/exiv2.hpp>

namespace retouchd::image::testing {
namespace {

template <class Sample>
void fill_pattern(cv::Mat& pattern) {
  constexpr double kMost = static_cast<Sample>(-1);
  const int channels = pattern.channels();
  for (int y = 0; y < pattern.rows; ++y) {
    for (int x = 0; x < pattern.cols; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double u = static_cast<double>(x) / pattern.cols;
        const double v = static_cast<double>(y) / pattern.rows;
        const double value = 0.45 + 0.3 * (u - 0.5) + 0.25 * (v - 0.5) * (c + 1) / 2.0 + 0.1 * std::sin(7.0 * u * (v + 0.3) + c);
        pattern.ptr<Sample>(y)[x * channels + c] = static_cast<Sample>(std::lround(std::clamp(value, 0.0, 1.0) * kMost));
      }
    }
  }
}

}  // namespace

cv::Mat make_pattern(int width, int height, int type) {
  cv::Mat pattern(height, width, type);
  pattern.depth() == CV_16U ? fill_pattern<std::uint16_t>(pattern) : fill_pattern<std::uint8_t>(pattern);
  return pattern;
}

Picture make_picture(int width, int height, int type, bool has_alpha) {
  Picture picture;
  picture.colour = make_pattern(width, height, type);
  if (has_alpha) {
    picture.alpha = make_pattern(width, height, CV_MAKETYPE(picture.colour.depth(), 1));
    picture.alpha.colRange(0, width / 3).setTo(0);
    picture.alpha.colRange(width - width / 3, width).setTo(picture.is_16_bit() ? 65'535 : 255);
  }
  return picture;
}

double largest_difference(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != b.type()) return 1e9;
  return a.empty() ? 0.0 : cv::norm(a, b, cv::NORM_INF);
}

ByteVector make_icc(const std::string& colour_space, std::size_t size) {
  ByteVector icc(size);
  const auto put_text = [&](std::size_t at, const std::string& text) { std::copy(text.begin(), text.end(), icc.begin() + at); };
  const auto put_number = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) icc[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  };
  put_number(0, static_cast<std::uint32_t>(size));
  put_number(8, 0x02400000);  // version
  put_text(12, "mntr" + colour_space + "XYZ ");
  put_text(36, "acsp");
  put_number(68, 0x0000F6D6);  // D50
  put_number(72, 0x00010000);
  put_number(76, 0x0000D32D);
  put_number(128, 1);
  put_text(132, "dmdd");
  put_number(136, 144);
  put_number(140, static_cast<std::uint32_t>(size - 144));
  for (std::size_t at = 144; at < size; ++at) icc[at] = static_cast<std::uint8_t>(at * 31);
  return icc;
}

ByteVector make_exif(int orientation) {
  Exiv2::ExifData tags;
  tags["Exif.Image.Make"] = "Lomo";
  tags["Exif.Image.Copyright"] = "2024 A. Photographer";
  tags["Exif.Image.Orientation"] = static_cast<std::uint16_t>(orientation);
  tags["Exif.Image.XResolution"] = Exiv2::Rational(300, 1);
  tags["Exif.Image.YResolution"] = Exiv2::Rational(150, 1);
  tags["Exif.Photo.DateTimeOriginal"] = "2024:05:06 07:08:09";
  tags["Exif.Photo.PixelXDimension"] = std::uint32_t{1};
  tags["Exif.Photo.PixelYDimension"] = std::uint32_t{1};
  tags["Exif.GPSInfo.GPSLatitudeRef"] = "N";
  const ByteVector thumbnail{0xFF, 0xD8, 0xFF, 0xD9};
  Exiv2::ExifThumb(tags).setJpegThumbnail(thumbnail.data(), static_cast<long>(thumbnail.size()));
  Exiv2::Blob blob;
  Exiv2::ExifParser::encode(blob, Exiv2::bigEndian, tags);
  return blob;
}

std::string make_xmp() {
  return R"(<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmp:CreatorTool="a test"
 tiff:Orientation="6" exif:PixelXDimension="1" exif:PixelYDimension="1">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Harbour</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>)";
}

ByteVector make_iptc() {
  Exiv2::IptcData records;
  records["Iptc.Application2.Caption"] = "Boats at dawn";
  const Exiv2::DataBuf encoded = Exiv2::IptcParser::encode(records);
  return {encoded.pData_, encoded.pData_ + encoded.size_};
}

}  // namespace retouchd::image::testing
