// How much a device computes beside what is asked for: overlap of tiles, padding, and batches that are not full.
//
// Streams of pictures go through the real plan and the real scheduler onto a device of paper whose batch of n tiles takes
// 4 * 512^2 + n * area: one of 16 tiles takes four times as long as one tile. No pixel is computed, so it runs in seconds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "queue/tile_scheduler.h"
#include "stages/tile_plan.h"

namespace {

using retouchd::inference::NetworkInfo;
using retouchd::stages::TilePlan;
using Json = nlohmann::ordered_json;

constexpr int kLargest = 512;
constexpr std::size_t kBatch = 16;
constexpr double kEmptyBatch = 4.0 * kLargest * kLargest;
constexpr int kSlots = 16;        // small pictures in flight at once
constexpr int kSlotsOfLarge = 4;  // ... that one large picture takes
constexpr double kLarge = 2.5e6;  // pixels
constexpr double kPreviewPixels = 1e6;

/// A size and how often it comes.
struct Kind {
  cv::Size size;
  double share = 1;
};
using Mix = std::vector<Kind>;
using Planner = std::function<TilePlan(cv::Size, const NetworkInfo&)>;

const Mix kUsual{{{3296, 2192}, 4},  {{2192, 3296}, 1}, {{4000, 3000}, 2}, {{3000, 4000}, 1}, {{4032, 3024}, 2},
                 {{3024, 4032}, 3},  {{6000, 4000}, 3}, {{4000, 6000}, 1}, {{8192, 5464}, 1}, {{5464, 8192}, 0.5},
                 {{1080, 1920}, 2},  {{1920, 1080}, 2}, {{640, 480}, 1},   {{800, 600}, 1},   {{1024, 768}, 1},
                 {{1280, 720}, 1},   {{600, 800}, 1},   {{500, 500}, 1},   {{320, 240}, 0.5}, {{400, 300}, 0.5},
                 {{1200, 1200}, .5}, {{1500, 1000}, 1}};
const Mix kOneCamera{{{3296, 2192}, 1}};

/// Every picture cropped by hand, none like another.
Mix crops(std::mt19937& random) {
  std::uniform_real_distribution<double> keep(0.6, 1.0);
  Mix mix;
  for (int i = 0; i < 150; ++i) {
    const cv::Size whole = kUsual[random() % 10].size;
    mix.push_back({{static_cast<int>(whole.width * keep(random)), static_cast<int>(whole.height * keep(random))}});
  }
  return mix;
}

/// Pictures for the web, 300 to 1600 pixels wide.
Mix web(std::mt19937& random) {
  std::uniform_real_distribution<double> width(300, 1600);
  std::uniform_real_distribution<double> aspect(0.66, 1.8);
  Mix mix;
  for (int i = 0; i < 300; ++i) {
    const double wide = width(random);
    mix.push_back({{static_cast<int>(wide), static_cast<int>(wide / aspect(random))}});
  }
  return mix;
}

cv::Size preview_of(cv::Size size) {
  const double factor = std::sqrt(kPreviewPixels / size.area());
  return {static_cast<int>(std::lround(size.width * factor)), static_cast<int>(std::lround(size.height * factor))};
}

double work_of(const TilePlan& plan) { return static_cast<double>(plan.tile.area()) * plan.count(); }

TilePlan chosen(cv::Size picture, const NetworkInfo& network) {
  return retouchd::stages::plan_best_tiles(picture, network, kLargest);
}

/// The square of 192, 256, 384 or 512 pixels with the least work.
TilePlan squares(cv::Size picture, const NetworkInfo& network) {
  TilePlan best;
  for (const int side : {192, 256, 384, 512}) {
    TilePlan plan = retouchd::stages::plan_tiles(picture, network, {side, side});
    if (best.tile.empty() || work_of(plan) <= work_of(best)) best = std::move(plan);
  }
  return best;
}

/// The shape with the least work of all whose sides are multiples of 8: no picture shares it with another on purpose.
TilePlan exact(cv::Size picture, const NetworkInfo& network) {
  const int overlap = std::max(2 * network.halo(), retouchd::stages::kFeatherOverlap);
  const auto side = [&](int length, int count) {
    if (count == 1) return (length + 7) / 8 * 8;
    const int own = ((length + 7) / 8 * 8 - overlap + count - 1) / count;
    return (own + overlap + 7) / 8 * 8;
  };
  TilePlan best;
  for (int columns = 1; columns == 1 || side(picture.width, columns) >= 2 * overlap; ++columns) {
    for (int rows = 1; rows == 1 || side(picture.height, rows) >= 2 * overlap; ++rows) {
      const cv::Size tile(side(picture.width, columns), side(picture.height, rows));
      if (tile.area() > kLargest * kLargest) continue;
      TilePlan plan = retouchd::stages::plan_tiles(picture, network, tile);
      if (best.tile.empty() || work_of(plan) < work_of(best)) best = std::move(plan);
    }
  }
  return best;
}

/// What became of a stream.
struct Figures {
  double useful = 0;    ///< pixels of pictures and previews
  double computed = 0;  ///< pixels of tensors
  double time = 0;      ///< of the device, in pixels
  double tiles = 0;
  double batches = 0;

  [[nodiscard]] double work() const { return computed / useful; }
  [[nodiscard]] double fill() const { return tiles / batches; }
  /// Time over that of the same tiles in full batches.
  [[nodiscard]] double batching_loss() const { return time / (computed + tiles / kBatch * kEmptyBatch) - 1; }
  [[nodiscard]] double time_per_pixel() const { return time / useful; }
};

/// A picture in flight, first as its preview.
struct Picture : retouchd::queue::TileOwner {
  [[nodiscard]] bool is_abandoned() const noexcept override { return false; }

  cv::Size size;
  int slots = 1;
  bool is_preview = false;
  int left = 0;
};

class Stream {
 public:
  Stream(Planner planner, NetworkInfo network) : planner_(std::move(planner)), network_(std::move(network)) {}

  Figures run(const Mix& mix, int pictures) {
    std::mt19937 random(1);
    std::vector<double> shares;
    for (const Kind& kind : mix) shares.push_back(kind.share);
    std::discrete_distribution<std::size_t> draw(shares.begin(), shares.end());
    std::vector<cv::Size> todo;
    for (int i = 0; i < pictures; ++i) todo.push_back(mix[draw(random)].size);

    const retouchd::queue::PullRequest request{[](const retouchd::queue::Bin&) { return kBatch; }, std::chrono::milliseconds(0),
                                               [] { return true; }};
    for (auto next = todo.begin();;) {
      for (; next != todo.end() && admit(*next); ++next) {
      }
      auto batch = scheduler_.pull(request, std::chrono::milliseconds(0));
      if (!batch) return figures_;
      compute(*batch);
    }
  }

 private:
  bool admit(cv::Size size) {
    const int slots = size.area() > kLarge ? kSlotsOfLarge : 1;
    if (slots > free_) return false;
    free_ -= slots;
    auto picture = std::make_shared<Picture>();
    picture->size = size;
    picture->slots = slots;
    picture->is_preview = size.area() > kPreviewPixels;
    push(picture, picture->is_preview ? preview_of(size) : size);
    return true;
  }

  void push(const std::shared_ptr<Picture>& picture, cv::Size size) {
    const auto [plan, is_new] = plans_.try_emplace({size.width, size.height});
    if (is_new) plan->second = planner_(size, network_);
    figures_.useful += size.area();
    picture->left = plan->second.count();
    retouchd::queue::Tile tile;
    tile.bin = {network_.name, plan->second.tile.width, plan->second.tile.height};
    tile.picture = ++tickets_;
    tile.preview = picture->is_preview;
    tile.owner = picture;
    for (tile.index = 0; tile.index < picture->left; ++tile.index) (void)scheduler_.push(tile);
  }

  void compute(const retouchd::queue::Batch& batch) {
    const double pixels = static_cast<double>(batch.bin.pixels()) * static_cast<double>(batch.tiles.size());
    figures_.computed += pixels;
    figures_.time += kEmptyBatch + pixels;
    figures_.tiles += static_cast<double>(batch.tiles.size());
    ++figures_.batches;
    for (const retouchd::queue::Tile& tile : batch.tiles) {
      const auto picture = std::static_pointer_cast<Picture>(tile.owner);
      if (--picture->left > 0) continue;
      if (std::exchange(picture->is_preview, false)) {
        push(picture, picture->size);
      } else {
        free_ += picture->slots;
      }
    }
  }

  Planner planner_;
  NetworkInfo network_;
  retouchd::queue::TileScheduler scheduler_{1'000'000};
  std::map<std::pair<int, int>, TilePlan> plans_;
  std::uint64_t tickets_ = 0;
  int free_ = kSlots;
  Figures figures_;
};

NetworkInfo network_of(std::string name, std::optional<int> receptive_field) {
  NetworkInfo network;
  network.name = std::move(name);
  network.multiple = 8;
  network.receptive_field = receptive_field;
  return network;
}

std::string shape_of(const TilePlan& plan) {
  return fmt::format("{}x{} of {}x{}", plan.x.windows.size(), plan.y.windows.size(), plan.tile.width, plan.tile.height);
}

/// One row for each size: how the three rules cut it.
Json table_of(const NetworkInfo& network, const std::vector<std::pair<std::string, Planner>>& planners) {
  std::vector<cv::Size> sizes;
  for (const Kind& kind : kUsual) {
    sizes.push_back(kind.size);
    if (kind.size.area() <= kLarge) continue;
    const cv::Size preview = preview_of(kind.size);
    if (std::find(sizes.begin(), sizes.end(), preview) == sizes.end()) sizes.push_back(preview);
  }
  Json rows = Json::array();
  for (const cv::Size size : sizes) {
    Json row{{"size", fmt::format("{}x{}", size.width, size.height)}};
    for (const auto& [name, planner] : planners) {
      const TilePlan plan = planner(size, network);
      row[name] = {{"tiles", plan.count()}, {"cut", shape_of(plan)}, {"work", plan.work_ratio()}};
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// Computed over useful pixels of the usual mix when tile.size is that.
double work_with(const NetworkInfo& network, int largest) {
  double computed = 0;
  double useful = 0;
  const auto count = [&](cv::Size size, double share) {
    computed += share * work_of(retouchd::stages::plan_best_tiles(size, network, largest));
    useful += share * size.area();
  };
  for (const Kind& kind : kUsual) {
    count(kind.size, kind.share);
    if (kind.size.area() > kPreviewPixels) count(preview_of(kind.size), kind.share);
  }
  return computed / useful;
}

void print(const Json& report) {
  for (const auto& [network, parts] : report["networks"].items()) {
    std::cout << fmt::format(
        "\n## {}\n\n| picture | chosen | work | squares | work | exact | work |\n|---|---|---|---|---|---|---|\n", network);
    for (const Json& row : parts["sizes"]) {
      std::cout << fmt::format("| {} |", row["size"].get<std::string>());
      for (const char* rule : {"chosen", "squares", "exact"})
        std::cout << fmt::format(" {} | {:.2f} |", row[rule]["cut"].get<std::string>(), row[rule]["work"].get<double>());
      std::cout << '\n';
    }
    std::cout << "\n| stream | rule | computed / useful | tiles a batch | batching loss | time per useful pixel "
                 "|\n|---|---|---|---|---|---|\n";
    for (const auto& [stream, rules] : parts["streams"].items()) {
      for (const auto& [rule, figures] : rules.items()) {
        std::cout << fmt::format("| {} | {} | {:.3f} | {:.1f} | {:.1f} % | {:.3f} |\n", stream, rule,
                                 figures["work"].get<double>(), figures["fill"].get<double>(),
                                 100 * figures["batching_loss"].get<double>(), figures["time"].get<double>());
      }
    }
  }
  std::cout << "\n## Usual mix by tile.size, computed / useful\n\n| network | 256 | 384 | 512 | 768 | 1024 "
               "|\n|---|---|---|---|---|---|\n";
  for (const auto& [network, parts] : report["networks"].items()) {
    std::cout << fmt::format("| {} |", network);
    for (const auto& work : parts["by_tile_size"]) std::cout << fmt::format(" {:.2f} |", work.get<double>());
    std::cout << '\n';
  }
  std::cout << fmt::format("\nuseful / computed over the usual mix: {:.3f} (squares {:.3f})\n", report["ratio"].get<double>(),
                           report["ratio_of_squares"].get<double>());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What tiles and batches cost beside the pixels that are asked for");
  bool as_json = false;
  int pictures = 600;
  app.add_flag("--json", as_json, "one JSON object");
  app.add_option("--pictures", pictures, "of each stream")->check(CLI::Range(1, 100000))->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const std::vector<std::pair<std::string, Planner>> planners{{"chosen", chosen}, {"squares", squares}, {"exact", exact}};
  std::mt19937 random(2);
  const std::vector<std::pair<std::string, Mix>> streams{
      {"usual mix", kUsual}, {"one camera", kOneCamera}, {"crops", crops(random)}, {"web", web(random)}};

  Json report{{"ratio", 0}, {"ratio_of_squares", 0}, {"networks", Json::object()}};
  std::map<std::string, Figures> totals;
  for (const NetworkInfo& network : {network_of("built-in, halo 40", 39), network_of("global, blended over 64", std::nullopt)}) {
    Json& parts = report["networks"][network.name];
    parts["sizes"] = table_of(network, planners);
    for (const int largest : {256, 384, 512, 768, 1024})
      parts["by_tile_size"][std::to_string(largest)] = work_with(network, largest);
    for (const auto& [stream, mix] : streams) {
      for (const auto& [rule, planner] : planners) {
        const Figures figures = Stream(planner, network).run(mix, pictures);
        parts["streams"][stream][rule] = {{"work", figures.work()},
                                          {"fill", figures.fill()},
                                          {"batching_loss", figures.batching_loss()},
                                          {"time", figures.time_per_pixel()}};
        if (stream != streams.front().first) continue;
        totals[rule].useful += figures.useful;
        totals[rule].computed += figures.computed;
      }
    }
  }
  report["ratio"] = 1 / totals["chosen"].work();
  report["ratio_of_squares"] = 1 / totals["squares"].work();
  if (as_json) {
    std::cout << report.dump(2) << '\n';
  } else {
    print(report);
  }
  return 0;
}
