// Feeds the daemon what a worker that was taken over may send: headers, replies, descriptions of pictures. The first byte
// chooses; descriptions are arbitrary bytes, or genuine ones of which some bytes were changed (the rest of the input: place,
// place, value).

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <opencv2/core.hpp>
#include <span>
#include <vector>

#include "image/metadata.h"
#include "sandbox/description.h"
#include "sandbox/protocol.h"

namespace {

using namespace retouchd;

constexpr std::uint64_t kRoom = 1 << 16;

void expect(bool holds) {
  if (!holds) std::abort();
}

/// `bytes` as far as they go, zero behind.
template <class Message>
Message message_of(std::span<const std::uint8_t> bytes) {
  Message message;
  std::memset(static_cast<void*>(&message), 0, sizeof message);
  std::memcpy(static_cast<void*>(&message), bytes.data(), std::min(bytes.size(), sizeof message));
  return message;
}

void check_header(std::span<const std::uint8_t> bytes) {
  image::DecodeLimits limits;
  const auto header = sandbox::checked(message_of<sandbox::WireHeader>(bytes), limits);
  if (!header) return;
  expect(header->width > 0 && header->height > 0 && header->width <= limits.side && header->height <= limits.side);
  expect(header->megapixels() <= limits.megapixels && header->frames <= limits.frames);
  expect(header->channels >= 1 && header->channels <= 4);
  expect(header->bits == 8 || header->bits == 16 || header->bits == 32);
  expect(!name_of(header->format).empty());
  (void)header->decoded_bytes();
}

void check_reply(std::span<const std::uint8_t> bytes) {
  const auto error = sandbox::checked_error(message_of<sandbox::Reply>(bytes));
  if (!error) return;
  expect(!error->name().empty() && !error->remedy().empty());
  for (const char c : error->message) expect(static_cast<unsigned char>(c) >= ' ');
}

std::vector<std::uint8_t> memory(kRoom);

cv::Mat plane_at(std::uint64_t offset, cv::Size size, int type) {
  const std::uint64_t wanted = static_cast<std::uint64_t>(std::max(size.width, 0)) *
                               static_cast<std::uint64_t>(std::max(size.height, 0)) *
                               static_cast<std::uint64_t>(CV_ELEM_SIZE(type));
  if (offset > kRoom || wanted > kRoom - offset) return {};
  return {size, type, memory.data() + offset};
}

std::uint64_t offset_of(const cv::Mat& plane) { return static_cast<std::uint64_t>(plane.data - memory.data()); }

void check_plane(const cv::Mat& plane) {
  if (plane.empty()) return;
  const auto offset = static_cast<std::ptrdiff_t>(plane.data - memory.data());
  expect(offset >= 0 && static_cast<std::uint64_t>(offset) + plane.total() * plane.elemSize() <= kRoom);
  (void)cv::sum(plane);
}

void check_description(std::span<const std::uint8_t> bytes) {
  const auto picture = sandbox::picture_from(bytes, plane_at);
  if (!picture) {
    expect(!picture.error().message.empty());
    return;
  }
  check_plane(picture->colour);
  check_plane(picture->alpha);
  for (const image::Picture& page : picture->pages) check_plane(page.colour);
  const auto again = sandbox::picture_from(sandbox::describe(*picture, offset_of), plane_at);
  expect(again.ok() && again->colour.size() == picture->colour.size() && again->pages.size() == picture->pages.size());
}

std::vector<std::uint8_t> genuine_description() {
  image::Picture picture;
  picture.colour = plane_at(0, {16, 12}, CV_8UC3);
  picture.alpha = plane_at(16 * 12 * 3, {16, 12}, CV_8UC1);
  image::Metadata metadata;
  metadata.exif = {1, 2, 3};
  metadata.xmp = "<x:xmpmeta/>";
  metadata.icc = {4, 5, 6, 7};
  metadata.comment = "a comment";
  metadata.texts = {{"Title", "text"}, {"Author", "somebody"}};
  metadata.dpi_x = metadata.dpi_y = 300;
  metadata.gamma = 45455;
  picture.metadata = std::make_shared<const image::Metadata>(metadata);
  picture.provenance = {{"Network", "identity"}};
  picture.metadata_warning = "a warning";
  image::Picture page;
  page.colour = plane_at(4096, {8, 8}, CV_16UC1);
  picture.pages = {page, page};
  return sandbox::describe(picture, offset_of);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_header(rest);
      break;
    case 1:
      check_reply(rest);
      break;
    case 2:
      check_description(rest);
      break;
    default: {
      static const std::vector<std::uint8_t> kGenuine = genuine_description();
      std::vector<std::uint8_t> changed = kGenuine;
      for (std::size_t i = 0; i + 2 < rest.size(); i += 3) {
        const std::size_t at = (static_cast<std::size_t>(rest[i]) << 8 | rest[i + 1]) % changed.size();
        changed[at] = rest[i + 2];
      }
      check_description(changed);
    }
  }
  return 0;
}
