// What a model server costs beside the device of this machine: batches of the same tiles, both taking turns.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <opencv2/core.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "inference/device.h"
#include "inference/registry.h"
#include "inference/remote/model_server.h"

namespace retouchd {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

struct Options {
  std::string server;
  std::string model;
  std::string device = "cpu";
  std::string network = "student-tiny";
  std::string models = RETOUCHD_SOURCE_DIR "/models";
  int side = 512;
  int rounds = 9;
  std::vector<int> batches{1, 2, 4, 8};
};

template <class T>
T expect(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

void load(inference::Device& device, const inference::NetworkInfo& network) {
  if (auto loaded = device.load(network); !loaded) throw std::runtime_error(loaded.error().message);
}

struct Timing {
  double least = 0;
  double median = 0;
};

Timing timing_of(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds.front(), seconds[seconds.size() / 2]};
}

json compare(const Options& options, inference::Device& here, inference::Device& there, const inference::NetworkInfo& network) {
  cv::Mat tile(options.side, options.side, CV_8UC3);
  cv::RNG(1).fill(tile, cv::RNG::UNIFORM, 0, 256);
  json rows = json::array();
  for (const int batch : options.batches) {
    const std::vector<inference::Window> windows(static_cast<std::size_t>(batch), {tile, {}, CV_8U});
    std::vector<double> seconds[2];
    double difference = 0;
    for (int round = -1; round < options.rounds; ++round) {  // the first one warms up
      cv::Mat pixels[2];
      for (int which = 0; which < 2; ++which) {
        inference::Device& device = which == 0 ? here : there;
        const auto start = Steady::now();
        pixels[which] = expect(device.restore(network, tile.size(), windows)).back().pixels;
        if (round >= 0) seconds[which].push_back(std::chrono::duration<double>(Steady::now() - start).count());
      }
      difference = std::max(difference, cv::norm(pixels[0], pixels[1], cv::NORM_INF));
    }
    const Timing local = timing_of(seconds[0]);
    const Timing remote = timing_of(seconds[1]);
    rows.push_back({{"batch", batch},
                    {"here_ms", 1e3 * local.median},
                    {"here_least_ms", 1e3 * local.least},
                    {"server_ms", 1e3 * remote.median},
                    {"server_least_ms", 1e3 * remote.least},
                    {"ratio", remote.median / local.median},
                    {"largest_difference", difference}});
  }
  return rows;
}

void run(const Options& options, bool as_json) {
  const inference::Registry registry({{options.models}});
  const inference::NetworkInfo network = expect(registry.find(options.network));
  inference::DeviceOptions local;
  local.devices = options.device;
  const auto here = expect(inference::open_devices(local));
  inference::ModelServerOptions remote;
  remote.model = options.model;
  const auto there = expect(inference::open_model_server(options.server, remote));
  load(*here.front(), network);
  load(*there, network);
  const json rows = compare(options, *here.front(), *there, network);
  if (as_json) {
    std::cout << json{{"here", here.front()->description()},
                      {"server", there->description()},
                      {"network", network.name},
                      {"side", options.side},
                      {"rows", rows}}
                     .dump(2)
              << "\n";
    return;
  }
  fmt::print("{} against {}, {}, tiles of {}x{}\n", there->description(), here.front()->description(), network.name, options.side,
             options.side);
  fmt::print("{:>6} {:>12} {:>12} {:>8} {:>12}\n", "batch", "here ms", "server ms", "ratio", "difference");
  for (const json& row : rows) {
    fmt::print("{:>6} {:>12.1f} {:>12.1f} {:>8.2f} {:>12}\n", row["batch"].get<int>(), row["here_ms"].get<double>(),
               row["server_ms"].get<double>(), row["ratio"].get<double>(), row["largest_difference"].get<double>());
  }
}

}  // namespace
}  // namespace retouchd

int main(int argc, char** argv) {
  retouchd::Options options;
  bool as_json = false;
  CLI::App app("Round trips of batches to a model server against the device here");
  app.add_option("server", options.server, "http://host:port, where the network is served")->required();
  app.add_option("--model", options.model, "the model that stands for the network, if not of its name");
  app.add_option("--device", options.device, "to compare with")->capture_default_str();
  app.add_option("--network", options.network)->capture_default_str();
  app.add_option("--models", options.models, "folder of weight files")->capture_default_str();
  app.add_option("--side", options.side, "of a tile")->capture_default_str();
  app.add_option("--batches", options.batches)->capture_default_str();
  app.add_option("--rounds", options.rounds)->capture_default_str();
  app.add_flag("--json", as_json);
  CLI11_PARSE(app, argc, argv);
  try {
    retouchd::run(options, as_json);
  } catch (const std::exception& error) {
    std::cerr << "model_server: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
