#include "inference/restormer/restormer_config.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

namespace retouchd::inference {
namespace {

constexpr std::int64_t kLargestDim = 512;
constexpr int kMostBlocks = 64;
constexpr std::int64_t kLargestExpansion = 16;

constexpr std::array kEncoders{"encoder_level1", "encoder_level2", "encoder_level3", "latent"};
constexpr std::array kDecoders{"decoder_level1", "decoder_level2", "decoder_level3"};

/// Reads shapes; the first that is wrong is kept as the error and everything after it reads as 1.
class Shapes {
 public:
  explicit Shapes(const WeightHeader& header) : header_(header) {}

  /// Side `axis` of a tensor with `rank` sides, in [1, limit].
  std::int64_t side(const std::string& name, std::size_t rank, std::size_t axis, std::int64_t limit) {
    const auto* entry = header_.find(name);
    if (entry == nullptr) {
      refuse("tensor `" + name + "` is missing");
    } else if (entry->shape.size() != rank) {
      refuse("tensor `" + name + "` has " + std::to_string(entry->shape.size()) + " dimensions, expected " +
             std::to_string(rank));
    } else if (entry->shape[axis] < 1 || entry->shape[axis] > limit) {
      refuse("tensor `" + name + "` has side " + std::to_string(entry->shape[axis]) + ", sensible are 1 to " +
             std::to_string(limit));
    } else {
      return entry->shape[axis];
    }
    return 1;
  }

  /// One more than the highest N of `<stage>.N.*`, in [1, kMostBlocks].
  int blocks(const std::string& stage) {
    const std::string start = stage + ".";
    int count = 0;
    for (auto it = header_.tensors.lower_bound(start); it != header_.tensors.end() && it->first.starts_with(start); ++it) {
      int index = -1;
      const char* begin = it->first.data() + start.size();
      const auto parsed = std::from_chars(begin, it->first.data() + it->first.size(), index);
      if (parsed.ec != std::errc{} || index < 0 || index >= kMostBlocks) {
        refuse("tensor `" + it->first + "` is not of one of at most " + std::to_string(kMostBlocks) + " blocks");
        return 1;
      }
      count = std::max(count, index + 1);
    }
    if (count == 0) refuse("tensor `" + start + "0.attn.qkv.weight` is missing");
    return std::max(count, 1);
  }

  bool has(const std::string& name) const { return header_.find(name) != nullptr; }

  void refuse(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }
  const std::string& reason() const { return reason_; }

 private:
  const WeightHeader& header_;
  std::string reason_;
};

}  // namespace

bool is_restormer(const WeightHeader& header) {
  constexpr std::array kSigns{"patch_embed.proj.weight",
                              "encoder_level1.0.attn.temperature",
                              "encoder_level1.0.attn.qkv_dwconv.weight",
                              "encoder_level1.0.ffn.project_in.weight",
                              "down1_2.body.0.weight",
                              "latent.0.attn.temperature",
                              "up4_3.body.0.weight",
                              "reduce_chan_level3.weight",
                              "refinement.0.attn.temperature",
                              "output.weight"};
  return std::all_of(kSigns.begin(), kSigns.end(), [&](const char* name) { return header.find(name) != nullptr; });
}

Result<RestormerConfig> restormer_config(const WeightHeader& header) {
  Shapes shapes(header);
  RestormerConfig config;
  config.dim = shapes.side("patch_embed.proj.weight", 4, 0, kLargestDim);
  config.in_channels = shapes.side("patch_embed.proj.weight", 4, 1, 6);
  config.out_channels = shapes.side("output.weight", 4, 0, 3);
  for (std::size_t level = 0; level < kEncoders.size(); ++level) {
    const std::string stage = kEncoders[level];
    const std::int64_t width = config.width(static_cast<int>(level));
    config.blocks[level] = shapes.blocks(stage);
    const std::string temperature = stage + ".0.attn.temperature";
    config.heads[level] = shapes.side(temperature, 3, 0, width);
    if (width % config.heads[level] != 0) {
      shapes.refuse("tensor `" + temperature + "` has " + std::to_string(config.heads[level]) + " heads for " +
                    std::to_string(width) + " channels");
    }
    config.hidden[level] = shapes.side(stage + ".0.ffn.project_out.weight", 4, 1, kLargestExpansion * width);
  }
  for (std::size_t level = 0; level < kDecoders.size(); ++level) {
    if (const int count = shapes.blocks(kDecoders[level]); count != config.blocks[level]) {
      shapes.refuse(std::string("`") + kDecoders[level] + "` has " + std::to_string(count) + " blocks, its encoder has " +
                    std::to_string(config.blocks[level]));
    }
  }
  config.refinement = shapes.blocks("refinement");
  const std::string first = "encoder_level1.0.";
  config.norm = shapes.has(first + "norm1.body.bias") ? RestormerConfig::Norm::kWithBias : RestormerConfig::Norm::kBiasFree;
  config.bias = shapes.has(first + "attn.qkv.bias");
  config.spatial_windows = shapes.has(first + "attn.relative_position_bias_table");
  config.dual_pixel = shapes.has("skip_conv.weight");
  if (config.dim % 2 != 0) shapes.refuse("tensor `patch_embed.proj.weight` has an odd number of outputs");
  if (config.out_channels == 2) shapes.refuse("tensor `output.weight` has 2 outputs, sensible are 1 and 3");
  if (config.in_channels != (config.dual_pixel ? 2 : 1) * config.out_channels) {
    shapes.refuse("tensor `patch_embed.proj.weight` takes " + std::to_string(config.in_channels) + " channels for " +
                  std::to_string(config.out_channels) + " of `output.weight`" +
                  (config.dual_pixel ? " and `skip_conv.weight` asks for two views" : ""));
  }
  if (!shapes.reason().empty()) return make_error(ErrorCode::kBadWeights, shapes.reason());
  return config;
}

std::string describe(const RestormerConfig& config) {
  std::string text = "dim " + std::to_string(config.dim) + ", blocks";
  for (const int count : config.blocks) text += " " + std::to_string(count);
  text += " + " + std::to_string(config.refinement);
  text += config.norm == RestormerConfig::Norm::kWithBias ? ", WithBias" : ", BiasFree";
  if (config.bias) text += ", biases";
  if (config.dual_pixel) text += ", dual pixel";
  if (config.out_channels == 1) text += ", gray";
  if (config.spatial_windows) text += ", 8x8 windows";
  return text;
}

}  // namespace retouchd::inference
