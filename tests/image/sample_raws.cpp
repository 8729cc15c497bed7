#include "tests/image/sample_raws.h"

#include <algorithm>
#include <cmath>

namespace retouchd::image::testing {
namespace {

constexpr int kStripOffsets = 273;
constexpr int kSubDirectories = 330;

void put(ByteVector& bytes, std::int64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put_at(ByteVector& bytes, std::size_t at, std::int64_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

int bytes_of(int type) { return type == 1 || type == 2 ? 1 : type == 3 ? 2 : 4; }
int numbers_of(int type) { return type == 5 || type == 10 ? 2 : 1; }

/// Appends the directory and what does not fit into it; returns where the values of `tags` in `places` lie.
std::size_t append_directory(ByteVector& file, TiffEntries entries, int tag) {
  std::sort(entries.begin(), entries.end(), [](const TiffEntry& a, const TiffEntry& b) { return a.tag < b.tag; });
  const std::size_t start = file.size();
  ByteVector apart;
  const std::size_t apart_at = start + 2 + 12 * entries.size() + 4;
  std::size_t place = 0;
  put(file, static_cast<std::int64_t>(entries.size()), 2);
  for (const TiffEntry& entry : entries) {
    const int size = bytes_of(entry.type);
    put(file, entry.tag, 2);
    put(file, entry.type, 2);
    put(file, static_cast<std::int64_t>(entry.values.size()) / numbers_of(entry.type), 4);
    ByteVector values;
    for (const std::int64_t value : entry.values) put(values, value, size);
    if (values.size() > 4) {
      if (entry.tag == tag) place = apart_at + apart.size();
      put(file, static_cast<std::int64_t>(apart_at + apart.size()), 4);
      values.resize((values.size() + 1) / 2 * 2);
      for (const std::uint8_t byte : values) apart.push_back(byte);
    } else {
      if (entry.tag == tag) place = file.size();
      values.resize(4);
      for (const std::uint8_t byte : values) file.push_back(byte);
    }
  }
  put(file, 0, 4);
  for (const std::uint8_t byte : apart) file.push_back(byte);
  return place;
}

bool has(const TiffEntries& entries, int tag) {
  return std::any_of(entries.begin(), entries.end(), [tag](const TiffEntry& entry) { return entry.tag == tag; });
}

}  // namespace

TiffEntry text_entry(int tag, const std::string& text) {
  TiffEntry entry{tag, 2, {text.begin(), text.end()}};
  entry.values.push_back(0);
  return entry;
}

TiffEntry rational_entry(int tag, const std::vector<double>& values) {
  TiffEntry entry{tag, 10, {}};
  for (const double value : values) {
    entry.values.push_back(std::lround(value * 10'000));
    entry.values.push_back(10'000);
  }
  return entry;
}

ByteVector write_directories(TiffEntries first, std::vector<TiffEntries> inner, const std::vector<std::uint16_t>& pixels,
                             const std::string& mark) {
  ByteVector file{'I', 'I', '*', 0};
  put(file, static_cast<std::int64_t>(8 + (mark.size() + 1) / 2 * 2), 4);
  for (const char c : mark) file.push_back(static_cast<std::uint8_t>(c));
  file.resize((file.size() + 1) / 2 * 2);
  if (!inner.empty()) first.push_back({kSubDirectories, 4, std::vector<std::int64_t>(inner.size())});
  std::vector<std::size_t> strips;
  // One place of each is asked for, so that the first directory of a file with inner ones must have no strip of its own.
  const std::size_t place = append_directory(file, first, inner.empty() ? kStripOffsets : kSubDirectories);
  if (inner.empty() && has(first, kStripOffsets)) strips.push_back(place);
  for (std::size_t i = 0; i < inner.size(); ++i) {
    put_at(file, place + 4 * i, static_cast<std::int64_t>(file.size()));
    const std::size_t strip = append_directory(file, inner[i], kStripOffsets);
    if (has(inner[i], kStripOffsets)) strips.push_back(strip);
  }
  for (const std::size_t strip : strips) put_at(file, strip, static_cast<std::int64_t>(file.size()));
  for (const std::uint16_t sample : pixels) put(file, sample, 2);
  return file;
}

std::vector<std::uint16_t> Sensor::samples() const {
  std::vector<std::uint16_t> samples;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const std::size_t colour = static_cast<std::size_t>(x % 2 + y % 2);
      const double value = light(x, y)[colour] * neutral[colour];
      samples.push_back(static_cast<std::uint16_t>(black + std::lround(std::clamp(value, 0.0, 1.0) * (white - black))));
    }
  }
  return samples;
}

TiffEntries dng_entries(const Sensor& sensor, int orientation) {
  const TiffEntry matrix = rational_entry(50'721, {3.2405, -1.5371, -0.4985, -0.9693, 1.8760, 0.0416, 0.0556, -0.2040, 1.0572});
  TiffEntry neutral = rational_entry(50'728, {sensor.neutral.begin(), sensor.neutral.end()});
  neutral.type = 5;
  return {{254, 4, {0}},
          {256, 4, {sensor.width}},
          {257, 4, {sensor.height}},
          {258, 3, {16}},
          {259, 3, {1}},
          {262, 3, {32'803}},
          text_entry(271, "Lomo"),
          text_entry(272, "Lomo Sensor One"),
          {kStripOffsets, 4, {0}},
          {274, 3, {orientation}},
          {277, 3, {1}},
          {278, 4, {sensor.height}},
          {279, 4, {2 * sensor.width * sensor.height}},
          text_entry(33'432, "2024 A. Photographer"),
          {33'421, 3, {2, 2}},
          {33'422, 1, {0, 1, 1, 2}},
          {50'706, 1, {1, 4, 0, 0}},
          text_entry(50'708, "Lomo Sensor One"),
          {50'714, 3, {sensor.black}},
          {50'717, 4, {sensor.white}},
          matrix,
          neutral,
          {50'778, 3, {21}}};
}

ByteVector write_dng(const Sensor& sensor, int orientation) {
  return write_directories(dng_entries(sensor, orientation), {}, sensor.samples());
}

}  // namespace retouchd::image::testing
