#include "inference/drct/drct.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "inference/drct/drct_plain.h"
#include "inference/drct/drct_upsampler.h"
#include "inference/drct/drct_weights.h"
#include "inference/drct/drct_window_attention.h"
#include "inference/drct/drct_window_shifts.h"
#include "inference/drct/drct_windows.h"
#include "inference/networks/side_by_side.h"

namespace retouchd::inference {
namespace {

// ForwardOptions::strip_pixels is meant for maps of 48 channels or so; a pixel takes about 16 times as much inside a stage (q, k
// and v of 180 to 308 channels each, or an MLP's 360 to 488).
constexpr std::int64_t kStripPixelsPerPixel = 16;

/// What the numbers of the optimised path are; drct.h says why.
struct Types {
  explicit Types(const ForwardOptions& options)
      : stages(options.body()),
        between(options.precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat),
        convolutions(options.edges()) {}

  at::ScalarType stages;
  at::ScalarType between;  ///< of the sum that runs through the stages, and of the 1x1 convolutions and norms that read it
  at::ScalarType convolutions;
};

void convert(DrctNorm& norm, at::ScalarType type) {
  norm.weight = norm.weight.to(type);
  norm.bias = norm.bias.to(type);
}

class Stage {
 public:
  Stage(DrctStage stage, const at::Tensor& masks, const Types& types)
      : type_(types.stages), attention_(stage, masks, types.stages), rest_(std::move(stage)) {
    convert(rest_.norm1, types.between);
    convert(rest_.norm2, types.between);
    rest_.expand.to(types.stages);
    rest_.contract.to(types.stages);
    rest_.adjust.to(types.between);
  }

  /// Scales what the stage results in, which must be a plain 1x1 convolution.
  void scale(double factor) {
    rest_.adjust.weight.mul_(factor);
    rest_.adjust.bias.mul_(factor);
  }

  /// [windows, w*w, C] -> what the 1x1 convolution makes of it. Works in place on `x`, which the caller hands over.
  at::Tensor operator()(at::Tensor x, std::span<const WindowRun> runs) const {
    x += attention_(rest_.norm1(x).to(type_), runs);
    x += rest_.contract(widen(x));
    return rest_.adjust(x);
  }

 private:
  at::Tensor widen(const at::Tensor& x) const {
    at::Tensor hidden = rest_.expand(rest_.norm2(x).to(type_));
    at::gelu_(hidden);
    return hidden;
  }

  at::ScalarType type_;
  DrctWindowAttention attention_;
  DrctStage rest_;
};

/// Calls `work(begin, end)` for parts of `count` windows, at most `most` each. On a CPU the parts run side by side, each on one
/// thread, unless this already is one of several forwards side by side.
template <typename Work>
void for_parts(std::int64_t count, std::int64_t most, const at::Device& device, const Work& work) {
  std::int64_t parts = (count + most - 1) / most;
  if (!device.is_cpu()) {
    for (std::int64_t i = 0; i < parts; ++i) work(i * count / parts, (i + 1) * count / parts);
    return;
  }
  const std::int64_t threads = threads_side_by_side();
  parts = std::min(count, (parts + threads - 1) / threads * threads);
  run_side_by_side(parts, [&](std::int64_t i) { work(i * count / parts, (i + 1) * count / parts); });
}

class Group {
 public:
  Group(DrctGroup& group, const DrctConfig& config, const at::Tensor& masks, const Types& types) : config_(config) {
    stages_.reserve(group.size());
    for (std::size_t i = 0; i < group.size(); ++i)
      stages_.emplace_back(std::move(group[i]), config.shift(i) > 0 ? masks : at::Tensor(), types);
    stages_.back().scale(0.2);
  }

  /// `all`: [windows, w*w, C + 4 * growth], the first C channels the group's input and, afterwards, its result.
  void operator()(const at::Tensor& all, const ShiftedWindows& shifted, std::int64_t most_windows) const {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      const bool last = i + 1 == stages_.size();
      for_parts(all.size(0), most_windows, all.device(), [&](std::int64_t begin, std::int64_t end) {
        if (config_.shift(i) > 0) {
          run_shifted(i, all, shifted, begin, end);
          return;
        }
        const at::Tensor part = all.narrow(0, begin, end - begin);
        const std::array<WindowRun, 1> run{{{0, 0, end - begin}}};
        const at::Tensor input = part.narrow(2, 0, config_.width(i)).clone(at::MemoryFormat::Contiguous);
        const at::Tensor result = stages_[i](input, run);
        if (last) {
          part.narrow(2, 0, config_.embed).add_(result);
        } else {
          at::Tensor grown = part.narrow(2, config_.width(i), config_.growth);
          at::leaky_relu_out(grown, result, kSlope);
        }
      });
    }
  }

 private:
  static constexpr double kSlope = 0.2;

  void run_shifted(std::size_t i, const at::Tensor& all, const ShiftedWindows& shifted, std::int64_t begin,
                   std::int64_t end) const {
    const at::Tensor pixels = shifted.pixels.narrow(0, begin, end - begin).flatten();
    const at::Tensor flat = all.flatten(0, 1);
    const at::Tensor input =
        flat.narrow(1, 0, config_.width(i)).index_select(0, pixels).view({end - begin, all.size(1), config_.width(i)});
    at::Tensor result = stages_[i](input, shifted.runs(begin, end));
    at::leaky_relu_(result, kSlope);
    flat.narrow(1, config_.width(i), config_.growth).index_copy_(0, pixels, result.flatten(0, 1));
  }

  DrctConfig config_;
  std::vector<Stage> stages_;
};

class Drct final : public TorchNetwork {
 public:
  Drct(DrctWeights weights, const DrctConfig& config, const ForwardOptions& options)
      : config_(config),
        types_(options),
        most_windows_(std::max<std::int64_t>(1, options.strip_pixels / kStripPixelsPerPixel / (config.window * config.window))),
        shifts_(config.window, config.window / 2, options.device),
        mean_(drct_mean(options.device)),
        first_(std::move(weights.first)),
        first_norm_(std::move(weights.first_norm)),
        body_norm_(std::move(weights.body_norm)),
        after_body_(std::move(weights.after_body)),
        before_upsample_(std::move(weights.before_upsample)),
        upsampler_(weights, config, options) {
    const at::Tensor masks = window_masks(config.window, config.window / 2);
    groups_.reserve(weights.groups.size());
    for (DrctGroup& group : weights.groups) groups_.emplace_back(group, config, masks, types_);
    first_.to(types_.convolutions);
    convert(first_norm_, types_.between);
    convert(body_norm_, types_.between);
    after_body_.to(types_.convolutions);
    before_upsample_.to(types_.convolutions);
  }

  at::Tensor forward(const at::Tensor& pictures) const override {
    at::Tensor x = after_body_(body(pictures));
    x += first(pictures);  // computed a second time, for a 4000th of the work, instead of kept all the while
    x = before_upsample_(x);
    at::leaky_relu_(x, 0.01);
    return upsampler_(x);
  }

 private:
  at::Tensor first(const at::Tensor& pictures) const { return first_((pictures - mean_).to(types_.convolutions)); }

  /// [N, H, W, 3] -> [N, H, W, C] as the convolutions take it.
  at::Tensor body(const at::Tensor& pictures) const {
    const auto height = pictures.size(1);
    const auto width = pictures.size(2);
    at::Tensor all = room_for_groups(first_norm_(first(pictures).to(types_.between)));
    const ShiftedWindows shifted = shifts_.of(pictures.size(0), height, width);
    for (const Group& group : groups_) group(all, shifted, most_windows_);
    const at::Tensor map = join_windows(all.narrow(2, 0, config_.embed), config_.window, height, width);
    all.reset();
    return body_norm_(map).to(types_.convolutions);
  }

  /// [N, H, W, C] -> [windows, w*w, C + 4 * growth]
  at::Tensor room_for_groups(const at::Tensor& map) const {
    const auto area = config_.window * config_.window;
    const auto windows = map.size(0) * map.size(1) * map.size(2) / area;
    at::Tensor all = at::empty({windows, area, config_.width(DrctConfig::kStages - 1)}, map.options());
    cut_windows_into(all.narrow(2, 0, config_.embed), map, config_.window);
    return all;
  }

  DrctConfig config_;
  Types types_;
  std::int64_t most_windows_;
  WindowShifts shifts_;
  at::Tensor mean_;
  Convolution first_;
  DrctNorm first_norm_;
  std::vector<Group> groups_;
  DrctNorm body_norm_;
  Convolution after_body_;
  Convolution before_upsample_;
  DrctUpsampler upsampler_;
};

}  // namespace

std::unique_ptr<TorchNetwork> make_drct(WeightReader& weights, const DrctConfig& config, const ForwardOptions& options) {
  DrctWeights taken = take_drct(weights, config);
  if (!options.optimize) return make_plain_drct(std::move(taken), config);
  return std::make_unique<Drct>(std::move(taken), config, options);
}

}  // namespace retouchd::inference
