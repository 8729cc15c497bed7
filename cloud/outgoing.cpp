#include "cloud/outgoing.h"

#include <exception>
#include <utility>

#include "image/jpeg_segments.h"
#include "image/metadata.h"

namespace retouchd::cloud {
namespace {

using image::FileFormat;

/// As decode() finds it.
int orientation_of_jpeg(std::span<const std::uint8_t> file, Bytes limit) {
  image::Metadata metadata;
  std::string ignored;
  image::read_jpeg_segments(file, limit, metadata, ignored);
  if (metadata.exif.empty()) return 1;
  const auto orientation = image::read_orientation(metadata.exif);
  return orientation ? *orientation : 1;
}

Result<std::vector<std::uint8_t>> as_plain_png(std::span<const std::uint8_t> file, const Packing& packing) {
  auto picture = image::decode(file, packing.limits);
  if (!picture) return picture.error();
  picture->alpha.release();
  picture->metadata.reset();
  image::EncodeOptions options;
  options.png_level = packing.png_level;
  options.metadata = image::EncodeOptions::Metadata::kStrip;
  return image::encode(*picture, FileFormat::kPng, options);
}

Result<Parcel> pack_unguarded(const std::filesystem::path& source, const FileIdentity& accepted, const std::filesystem::path& to,
                              const Packing& packing) {
  FileIdentity identity;
  auto bytes = read_file(source, packing.file_size, &identity);
  if (!bytes) return bytes.error();
  if (identity != accepted) return make_error(ErrorCode::kInputChanged, source.string() + " changed after it was accepted");
  const auto header = image::read_header(*bytes, packing.limits);
  if (!header) return header.error();

  Parcel parcel;
  parcel.file = to;
  parcel.megapixels = header->megapixels();
  const bool is_jpeg = header->format == FileFormat::kJpeg;
  parcel.name = is_jpeg && packing.answer == config::Cloud::Answer::kSmall ? "picture.jpg" : "picture.png";
  if (packing.strip_metadata) {
    if (is_jpeg) parcel.turn = orientation_of_jpeg(*bytes, packing.limits.metadata);
    auto stripped = is_jpeg ? strip_jpeg(*bytes) : as_plain_png(*bytes, packing);
    if (!stripped) return stripped.error();
    *bytes = std::move(*stripped);
  }
  parcel.size = {bytes->size()};
  parcel.sha256 = sha256_hex(*bytes);
  if (auto written = write_file_synced(to, *bytes); !written) return written.error();
  return parcel;
}

}  // namespace

Result<Parcel> pack(const std::filesystem::path& source, const FileIdentity& accepted, const std::filesystem::path& to,
                    const Packing& packing) {
  try {
    return pack_unguarded(source, accepted, to, packing);
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kInternal, "cannot pack " + source.string() + ": " + error.what());
  }
}

}  // namespace retouchd::cloud
