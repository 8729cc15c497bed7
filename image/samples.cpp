#include "image/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <opencv2/core.hpp>
#include <vector>

namespace retouchd::image {
namespace {

std::vector<std::uint16_t> spreading_table(int bits, SampleRange range, int bits_out) {
  const double most = (1 << bits_out) - 1;
  const double low = range == SampleRange::kLimited ? 16.0 * (1 << (bits - 8)) : 0.0;
  const double high = range == SampleRange::kLimited ? 235.0 * (1 << (bits - 8)) : (1 << bits) - 1;
  std::vector<std::uint16_t> table(std::size_t{1} << bits);
  for (std::size_t value = 0; value < table.size(); ++value) {
    const double spread = (static_cast<double>(value) - low) / (high - low) * most;
    table[value] = static_cast<std::uint16_t>(std::lround(std::clamp(spread, 0.0, most)));
  }
  return table;
}

template <class In, class Out>
void spread_row(const In* from, std::size_t count, const std::vector<std::uint16_t>& table, Out* to) {
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<Out>(table[std::min<std::size_t>(from[i], table.size() - 1)]);
}

void replace_values(cv::Mat& words, const std::vector<std::uint16_t>& table) {
  const std::size_t count = static_cast<std::size_t>(words.cols) * static_cast<std::size_t>(words.channels());
  for (int row = 0; row < words.rows; ++row) {
    auto* values = words.ptr<std::uint16_t>(row);
    spread_row(values, count, table, values);
  }
}

template <class Value>
void unpremultiply_rows(cv::Mat& colour, const cv::Mat& alpha, double most) {
  const int channels = colour.channels();
  for (int row = 0; row < colour.rows; ++row) {
    auto* pixel = colour.ptr<Value>(row);
    const auto* opacity = alpha.ptr<Value>(row);
    for (int column = 0; column < colour.cols; ++column, pixel += channels) {
      const double share = static_cast<double>(opacity[column]) / most;
      for (int channel = 0; channel < channels; ++channel) {
        const double value = share > 0 ? pixel[channel] / share : 0.0;
        if constexpr (std::is_integral_v<Value>) {
          pixel[channel] = static_cast<Value>(std::lround(std::min(value, most)));
        } else {
          pixel[channel] = static_cast<Value>(value);
        }
      }
    }
  }
}

}  // namespace

void spread_samples(const std::uint8_t* rows, std::size_t row_bytes, int bits, SampleRange range, int bits_out, cv::Mat& plane) {
  const auto width = static_cast<std::size_t>(plane.cols);
  const bool is_same = range == SampleRange::kFull && bits == bits_out;
  const auto table = is_same ? std::vector<std::uint16_t>() : spreading_table(bits, range, bits_out);
  for (int row = 0; row < plane.rows; ++row, rows += row_bytes) {
    const auto* words = reinterpret_cast<const std::uint16_t*>(rows);
    if (is_same) {
      std::memcpy(plane.ptr(row), rows, width * plane.elemSize());
    } else if (bits_out == 8) {
      spread_row(rows, width, table, plane.ptr<std::uint8_t>(row));
    } else if (bits == 8) {
      spread_row(rows, width, table, plane.ptr<std::uint16_t>(row));
    } else {
      spread_row(words, width, table, plane.ptr<std::uint16_t>(row));
    }
  }
}

void spread_in_place(cv::Mat& words, int bits) {
  if (bits < 16) replace_values(words, spreading_table(bits, SampleRange::kFull, 16));
}

void snap_to_bits(cv::Mat& words, int bits) {
  if (bits >= 16) return;
  const auto spread = spreading_table(bits, SampleRange::kFull, 16);
  std::vector<std::uint16_t> table(65'536);
  for (std::size_t value = 0; value < table.size(); ++value)
    table[value] = spread[(value * (spread.size() - 1) + 32'767) / 65'535];
  replace_values(words, table);
}

void unpremultiply(cv::Mat& colour, const cv::Mat& alpha) {
  switch (colour.depth()) {
    case CV_8U:
      return unpremultiply_rows<std::uint8_t>(colour, alpha, 255.0);
    case CV_16U:
      return unpremultiply_rows<std::uint16_t>(colour, alpha, 65'535.0);
    default:
      return unpremultiply_rows<float>(colour, alpha, 1.0);
  }
}

}  // namespace retouchd::image
