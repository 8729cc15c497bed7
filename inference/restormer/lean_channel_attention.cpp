// Attention between channels, in two walks over the map, rewritten so that neither q nor k is ever stored whole:
//
//   1. q, k and v of a strip; sums of q k^T (the Gram matrix) and of q^2 and k^2, fp32; v is kept.
//   2. The lengths of q and k come out of the logits, as they are per channel: softmax(temperature * (q k^T)_ij / (|q_i| |k_j|)).
//      What follows is linear in v, so the attention maps and the projection after them are one small matrix for each picture:
//      x += M v with M = Wproj * blockdiag(attention maps).
//
// With local windows there is a Gram matrix and an M for each window; a pixel gets the mean of what its windows say.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

#include "inference/restormer/attention_windows.h"
#include "inference/restormer/lean_attention.h"
#include "inference/restormer/lean_expansion.h"
#include "inference/restormer/lean_strips.h"
#include "inference/restormer/strip_operations.h"

namespace retouchd::inference {
namespace {

constexpr double kLengthEpsilon = 1e-12;

/// Sums over pixels, fp32.
struct Statistics {
  at::Tensor gram;     ///< [windows, N, heads, C / heads (of q), C / heads (of k)]
  at::Tensor squares;  ///< [windows, N, 2C]: of q, of k
};

/// The rows [begin, end) of a strip that a window has, and all of its columns; `strip` starts at row `begin`.
at::Tensor part_of(const at::Tensor& strip, std::int64_t begin, std::int64_t end, const AttentionWindow& window) {
  const std::int64_t top = std::max(begin, window.top);
  const std::int64_t bottom = std::min(end, window.bottom());
  return strip.narrow(1, top - begin, std::max<std::int64_t>(0, bottom - top)).narrow(2, window.left, window.width);
}

bool touches(const AttentionWindow& window, std::int64_t begin, std::int64_t end) {
  return window.top < end && begin < window.bottom();
}

class ChannelAttention final : public LeanAttention {
 public:
  ChannelAttention(const RestormerBlock& block, const LeanNumbers& numbers, std::int64_t strip_pixels)
      : expand_(block.norm1, block.qkv, numbers, numbers.int8),
        depthwise_(block.qkv_depthwise, numbers.body),
        temperature_(block.temperature),
        heads_(block.temperature.size(0)),
        channels_(block.attention_out.weight.size(0)),
        body_(numbers.body),
        strip_pixels_(strip_pixels) {
    // [heads, C / heads (in), C (out)]
    project_ = block.attention_out.weight.t().reshape({heads_, channels_ / heads_, channels_}).contiguous();
    bias_ = block.attention_out.bias;
  }

  void add_to(at::Tensor& x, std::optional<std::int64_t> side) const override {
    const auto windows = attention_windows(x.size(1), x.size(2), side);
    const std::vector<Band> bands = bands_of(x);
    const at::Tensor v = at::empty(x.sizes(), x.options().dtype(body_));
    const at::Tensor mixing = mixing_of(gather(x, bands, windows, v));
    for_each_band(bands, [&](const Band& band) {
      const std::int64_t rows = strip_rows(x, strip_pixels_, channels_);
      for (std::int64_t begin = band.begin; begin < band.end; begin += rows) {
        const std::int64_t end = std::min(begin + rows, band.end);
        at::Tensor target = x.narrow(1, begin, end - begin);
        mix(v.narrow(1, begin, end - begin), begin, windows, mixing, target);
        if (bias_.defined()) target.add_(bias_);
      }
    });
  }

 private:
  /// The first walk. Fills `v`.
  Statistics gather(const at::Tensor& x, const std::vector<Band>& bands, const std::vector<AttentionWindow>& windows,
                    const at::Tensor& v) const {
    const std::int64_t rows = strip_rows(x, strip_pixels_, expand_.channels());
    std::vector<Statistics> parts(bands.size());
    for_each_band(bands, [&](const Band& band) {
      Statistics& part = parts[static_cast<std::size_t>(band.index)];
      part = empty_statistics(x, windows.size());
      const at::Tensor scratch =
          at::empty({x.size(0), std::min(rows, band.end - band.begin), x.size(2), 2 * channels_}, x.options().dtype(at::kFloat));
      expand_.walk(x, band, rows, [&](std::int64_t begin, std::int64_t end, const at::Tensor& strip) {
        const at::Tensor qk = scratch.narrow(1, 0, end - begin);
        depthwise(strip, depthwise_, 0, qk);
        depthwise(strip, depthwise_, 2 * channels_, v.narrow(1, begin, end - begin));
        for (std::size_t i = 0; i < windows.size(); ++i) {
          if (!touches(windows[i], begin, end)) continue;
          const auto index = static_cast<std::int64_t>(i);
          accumulate(part_of(qk, begin, end, windows[i]).contiguous(), part.gram[index], part.squares[index]);
        }
      });
    });
    for (std::size_t i = 1; i < parts.size(); ++i) {
      parts[0].gram += parts[i].gram;
      parts[0].squares += parts[i].squares;
    }
    return parts[0];
  }

  Statistics empty_statistics(const at::Tensor& x, std::size_t windows) const {
    const auto count = static_cast<std::int64_t>(windows);
    const std::int64_t width = channels_ / heads_;
    const auto fp32 = x.options().dtype(at::kFloat);
    return {at::zeros({count, x.size(0), heads_, width, width}, fp32), at::zeros({count, x.size(0), 2 * channels_}, fp32)};
  }

  /// Adds the pixels of `qk` [N, rows, columns, 2C].
  void accumulate(const at::Tensor& qk, at::Tensor gram, at::Tensor squares) const {
    const std::int64_t width = channels_ / heads_;
    if (qk.is_cpu()) {
      const at::Tensor pixels = qk.view({-1, 2 * channels_});
      for (std::int64_t head = 0; head < heads_; ++head) {
        const at::Tensor q = pixels.narrow(1, head * width, width);
        gram[0][head].addmm_(q.t(), pixels.narrow(1, channels_ + head * width, width));
      }
      at::Tensor sums = at::zeros({2 * channels_}, qk.options());
      add_squares(pixels, sums);
      squares[0] += sums;
    } else {
      // [2, N, heads, pixels, C / heads]
      const at::Tensor parts = qk.view({qk.size(0), -1, 2, heads_, width}).permute({2, 0, 3, 1, 4});
      gram += parts[0].transpose(-2, -1).matmul(parts[1]);
      squares += qk.square().sum({1, 2});
    }
  }

  /// M of each window and picture, transposed, in the body's type: [windows, N, C (in), C (out)].
  at::Tensor mixing_of(const Statistics& sums) const {
    const std::int64_t windows = sums.gram.size(0);
    const std::int64_t pictures = sums.gram.size(1);
    const at::Tensor lengths =
        sums.squares.sqrt().clamp_min(kLengthEpsilon).view({windows, pictures, 2, heads_, channels_ / heads_});
    const at::Tensor logits =
        sums.gram / lengths.select(2, 0).unsqueeze(-1) / lengths.select(2, 1).unsqueeze(-2) * temperature_.view({heads_, 1, 1});
    return logits.softmax(-1).transpose(-2, -1).matmul(project_).reshape({windows, pictures, channels_, channels_}).to(body_);
  }

  /// target += M v for a strip from row `begin` on.
  void mix(const at::Tensor& v, std::int64_t begin, const std::vector<AttentionWindow>& windows, const at::Tensor& mixing,
           at::Tensor target) const {
    if (windows.size() == 1) {
      add_mixed(v, mixing[0], target);
      return;
    }
    const std::int64_t end = begin + v.size(1);
    at::Tensor sum = at::zeros(target.sizes(), target.options().dtype(at::kFloat));
    at::Tensor count = at::zeros({1, v.size(1), v.size(2), 1}, sum.options());
    for (std::size_t i = 0; i < windows.size(); ++i) {
      if (!touches(windows[i], begin, end)) continue;
      const at::Tensor part = part_of(v, begin, end, windows[i]).contiguous();
      const at::Tensor matrix = mixing[static_cast<std::int64_t>(i)];
      part_of(sum, begin, end, windows[i]).add_(part.flatten(1, 2).matmul(matrix).view(part.sizes()));
      part_of(count, begin, end, windows[i]).add_(1);
    }
    target.add_(sum.div_(count));
  }

  /// One matrix a picture.
  static void add_mixed(const at::Tensor& v, const at::Tensor& matrices, at::Tensor target) {
    if (v.size(0) == 1) {
      add_product(v, matrices[0], target);
    } else {
      target.add_(v.flatten(1, 2).matmul(matrices).view(v.sizes()));
    }
  }

  LeanExpansion expand_;
  DepthwiseWeights depthwise_;
  at::Tensor temperature_;
  at::Tensor project_;
  at::Tensor bias_;
  std::int64_t heads_;
  std::int64_t channels_;
  at::ScalarType body_;
  std::int64_t strip_pixels_;
};

}  // namespace

std::unique_ptr<LeanAttention> make_lean_channel_attention(const RestormerBlock& block, const LeanNumbers& numbers,
                                                           std::int64_t strip_pixels) {
  return std::make_unique<ChannelAttention>(block, numbers, strip_pixels);
}

}  // namespace retouchd::inference
