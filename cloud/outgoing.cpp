#include "cloud/outgoing.h"

#include <exception>
#include <utility>

#include "image/alpha_channel.h"

namespace retouchd::cloud {
namespace {

using image::FileFormat;

Result<std::vector<std::uint8_t>> as_plain_png(image::FileCodec& codec, const InputFile& file, const image::PictureHeader& header,
                                               const Packing& packing) {
  auto picture = codec.decode(file, header, packing.limits);
  if (!picture) return picture.error();
  picture->colour = image::fill_hidden_colours(picture->colour, picture->alpha);  // as it would be restored here
  picture->alpha.release();
  picture->metadata.reset();
  image::EncodeOptions options;
  options.png_level = packing.png_level;
  options.metadata = image::EncodeOptions::Metadata::kStrip;
  if (!image::can_hold(*picture, FileFormat::kPng)) {
    return make_error(ErrorCode::kUnsupportedFormat, "floating point pictures and several pages are not sent to a cloud node");
  }
  return codec.encode(*picture, FileFormat::kPng, options);
}

Result<Parcel> pack_unguarded(image::FileCodec& codec, const std::filesystem::path& source, const FileIdentity& accepted,
                              const std::filesystem::path& to, const Packing& packing) {
  const auto file = open_input(source, packing.file_size);
  if (!file) return file.error();
  if (file->identity != accepted) return make_error(ErrorCode::kInputChanged, source.string() + " changed after it was accepted");
  const auto header = codec.read_header(*file, packing.limits);
  if (!header) return header.error();
  Parcel parcel;
  parcel.file = to;
  parcel.megapixels = header->megapixels();
  const bool is_jpeg = header->format == FileFormat::kJpeg;
  parcel.name = is_jpeg && packing.answer == config::Cloud::Answer::kSmall ? "picture.jpg" : "picture.png";
  if (packing.strip_metadata) parcel.turn = header->orientation;
  auto bytes = packing.strip_metadata && !is_jpeg ? as_plain_png(codec, *file, *header, packing) : read_all(file->fd);
  if (bytes && packing.strip_metadata && is_jpeg) bytes = strip_jpeg(*bytes);
  if (!bytes) return bytes.error();
  parcel.size = {bytes->size()};
  parcel.sha256 = sha256_hex(*bytes);
  if (auto written = write_file_synced(to, *bytes); !written) return written.error();
  return parcel;
}

}  // namespace

Result<Parcel> pack(image::FileCodec& codec, const std::filesystem::path& source, const FileIdentity& accepted,
                    const std::filesystem::path& to, const Packing& packing) {
  try {
    return pack_unguarded(codec, source, accepted, to, packing);
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kInternal, "cannot pack " + source.string() + ": " + error.what());
  }
}

}  // namespace retouchd::cloud
