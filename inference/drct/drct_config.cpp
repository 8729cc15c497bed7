#include "inference/drct/drct_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace retouchd::inference {
namespace {

constexpr std::int64_t kLargestEmbed = 512;
constexpr std::int64_t kLargestGrowth = 256;
constexpr std::int64_t kLargestExpansion = 8;
constexpr std::int64_t kLargestFeatures = 256;
constexpr int kMostGroups = 32;
constexpr int kLargestWindow = 32;
// A table of (2w-1)^2 numbers a head unfolds to w^4 biases, four times that in shifted stages. DRCT-L, the largest published: 41
// million.
constexpr std::int64_t kMostPositionBiases = 200'000'000;

/// Reads shapes; the first that is wrong is kept as the error and everything after it reads as 1.
class Shapes {
 public:
  explicit Shapes(const WeightHeader& header) : header_(header) {}

  /// Side `axis` of a tensor with `rank` sides, in [1, limit].
  std::int64_t side(const std::string& name, std::size_t rank, std::size_t axis, std::int64_t limit) {
    const auto* entry = header_.find(name);
    if (entry == nullptr) return refuse(name, "is missing");
    if (entry->shape.size() != rank) {
      return refuse(name, "has " + std::to_string(entry->shape.size()) + " dimensions, expected " + std::to_string(rank));
    }
    const std::int64_t length = entry->shape[axis];
    if (length < 1 || length > limit)
      return refuse(name, "has side " + std::to_string(length) + ", sensible are 1 to " + std::to_string(limit));
    return length;
  }

  /// One more than the highest N of `layers.N.*`, in [1, kMostGroups].
  int groups() {
    constexpr std::string_view kStart = "layers.";
    int count = 0;
    for (auto it = header_.tensors.lower_bound(std::string(kStart)); it != header_.tensors.end() && it->first.starts_with(kStart);
         ++it) {
      int index = -1;
      const char* begin = it->first.data() + kStart.size();
      const auto parsed = std::from_chars(begin, it->first.data() + it->first.size(), index);
      if (parsed.ec != std::errc{} || index < 0 || index >= kMostGroups) {
        refuse(it->first, "is not of one of at most " + std::to_string(kMostGroups) + " groups");
        return 1;
      }
      count = std::max(count, index + 1);
    }
    return std::max(count, 1);
  }

  bool has(const std::string& name) const { return header_.find(name) != nullptr; }

  std::int64_t refuse(const std::string& name, const std::string& reason) {
    if (reason_.empty()) reason_ = "tensor `" + name + "` " + reason;
    return 1;
  }
  const std::string& reason() const { return reason_; }

 private:
  const WeightHeader& header_;
  std::string reason_;
};

/// The side of the windows whose (2w-1)^2 relative positions the table has as rows.
int window_of(Shapes& shapes, const std::string& table) {
  const std::int64_t rows = shapes.side(table, 2, 0, (2 * kLargestWindow - 1) * (2 * kLargestWindow - 1));
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(rows))));
  if (side * side != rows || side < 3 || side % 2 == 0) {
    shapes.refuse(table, "has " + std::to_string(rows) + " rows, which is (2w-1)^2 for no window side w of 2 to " +
                             std::to_string(kLargestWindow));
    return 2;
  }
  return static_cast<int>((side + 1) / 2);
}

int scale_of(Shapes& shapes, std::int64_t features) {
  if (!shapes.has("upsample.0.weight")) return 1;
  const std::int64_t rows = shapes.side("upsample.0.weight", 4, 0, 9 * kLargestFeatures);
  if (rows == 9 * features) return 3;
  if (rows != 4 * features) {
    shapes.refuse("upsample.0.weight",
                  "has " + std::to_string(rows) + " outputs, expected 4 or 9 times " + std::to_string(features));
  }
  if (shapes.has("upsample.4.weight")) return 8;
  return shapes.has("upsample.2.weight") ? 4 : 2;
}

}  // namespace

bool is_drct(const WeightHeader& header) {
  constexpr std::array kSigns{"conv_first.weight",
                              "patch_embed.norm.weight",
                              "layers.0.swin1.attn.qkv.weight",
                              "layers.0.swin1.attn.relative_position_bias_table",
                              "layers.0.swin5.mlp.fc1.weight",
                              "layers.0.adjust1.weight",
                              "layers.0.adjust5.weight",
                              "conv_after_body.weight",
                              "conv_last.weight"};
  return std::all_of(kSigns.begin(), kSigns.end(), [&](const char* name) { return header.find(name) != nullptr; });
}

Result<DrctConfig> drct_config(const WeightHeader& header) {
  Shapes shapes(header);
  DrctConfig config;
  config.embed = shapes.side("conv_first.weight", 4, 0, kLargestEmbed);
  if (const auto channels = shapes.side("conv_first.weight", 4, 1, kLargestEmbed); channels != 3)
    shapes.refuse("conv_first.weight", "takes " + std::to_string(channels) + " channels, only RGB networks are supported");
  config.growth = shapes.side("layers.0.adjust1.weight", 4, 0, kLargestGrowth);
  config.groups = shapes.groups();
  config.window = window_of(shapes, "layers.0.swin1.attn.relative_position_bias_table");
  config.qkv_bias = shapes.has("layers.0.swin1.attn.qkv.bias");
  std::int64_t unfolded_heads = 0;
  for (std::size_t stage = 0; stage < DrctConfig::kStages; ++stage) {
    const std::string name = "layers.0.swin" + std::to_string(stage + 1);
    const std::int64_t width = config.width(stage);
    const std::string table = name + ".attn.relative_position_bias_table";
    config.heads[stage] = shapes.side(table, 2, 1, width);
    if (width % config.heads[stage] != 0) {
      shapes.refuse(table, "has " + std::to_string(config.heads[stage]) + " heads, which do not divide " + std::to_string(width) +
                               " channels");
    }
    config.hidden[stage] = shapes.side(name + ".mlp.fc1.weight", 2, 0, kLargestExpansion * width);
    unfolded_heads += config.heads[stage] * (config.shift(stage) > 0 ? 4 : 1);
  }
  const std::int64_t area = config.window * config.window;
  if (config.groups * unfolded_heads * area * area > kMostPositionBiases) {
    shapes.refuse("layers.0.swin1.attn.relative_position_bias_table",
                  "has too many heads or too large a window for " + std::to_string(config.groups) + " groups");
  }
  config.features = shapes.side("conv_before_upsample.0.weight", 4, 0, kLargestFeatures);
  config.scale = scale_of(shapes, config.features);
  if (!shapes.reason().empty()) return make_error(ErrorCode::kBadWeights, shapes.reason());
  return config;
}

std::string describe(const DrctConfig& config) {
  return "DRCT, " + std::to_string(config.groups) + (config.groups == 1 ? " group" : " groups") + ", embed " +
         std::to_string(config.embed) + ", window " + std::to_string(config.window);
}

}  // namespace retouchd::inference
