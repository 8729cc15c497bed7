#include "image/file_codec.h"

#include "image/output_file.h"

namespace retouchd::image {

Result<Picture> FileCodec::decode(const InputFile& file, const DecodeLimits& limits) {
  auto header = read_header(file, limits);
  if (!header) return header.error();
  return decode(file, *header, limits);
}

Result<Picture> FileCodec::decode(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  auto file = input_of(bytes);
  if (!file) return file.error();
  return decode(*file, limits);
}

Result<std::vector<std::uint8_t>> FileCodec::encode(const Picture& picture, FileFormat format, const EncodeOptions& options,
                                                    std::string* warning) {
  auto memory = memory_file("encoded picture");
  if (!memory) return memory.error();
  auto lost = encode(picture, format, options, memory->get());
  if (!lost) return lost.error();
  if (warning != nullptr) *warning = *std::move(lost);
  return read_all(*memory);
}

Result<PictureHeader> LocalCodec::read_header(const InputFile& file, const DecodeLimits& limits) {
  const auto bytes = read_all(file.fd);
  if (!bytes) return bytes.error();
  return image::read_header(*bytes, limits);
}

Result<Picture> LocalCodec::decode(const InputFile& file, const PictureHeader& /*header*/, const DecodeLimits& limits) {
  const auto bytes = read_all(file.fd);
  if (!bytes) return bytes.error();
  return image::decode(*bytes, limits);
}

Result<std::string> LocalCodec::encode(const Picture& picture, FileFormat format, const EncodeOptions& options, int fd) {
  DescriptorFile file(fd);
  std::string lost;
  if (auto encoded = image::encode(picture, format, options, file, &lost); !encoded) return encoded.error();
  return lost;
}

}  // namespace retouchd::image
