#include "inference/compilation.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>
#include <sys/wait.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/spawn.h"
#include "inference/device_identity.h"
#include "inference/networks/package_network.h"
#include "inference/package_check.h"
#include "inference/torch_device.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Bytes kLargestReport = mebibytes(1);
constexpr Bytes kLargestLog = mebibytes(64);
constexpr std::size_t kLogTail = 600;

/// Files of one compilation, gone when it ends. They lie in the cache, so that a rename takes the result.
class Workplace {
 public:
  explicit Workplace(const fs::path& folder) : stem_((folder / (".making-" + std::to_string(::getpid()))).string()) {}
  ~Workplace() {
    std::error_code ignored;
    for (const fs::path& file : {made(), report(), log()}) fs::remove(file, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  [[nodiscard]] fs::path made() const { return stem_ + ".pt2"; }
  [[nodiscard]] fs::path report() const { return stem_ + ".report"; }
  [[nodiscard]] fs::path log() const { return stem_ + ".log"; }

 private:
  const std::string stem_;
};

/// `name` when it is a path, else the first such program of PATH.
std::optional<fs::path> find_program(const fs::path& name) {
  if (name.has_parent_path()) return name;
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nobody changes it
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const auto colon = std::min(rest.find(':'), rest.size());
    const fs::path file = fs::path(rest.substr(0, colon)) / name;
    if (::access(file.c_str(), X_OK) == 0) return file;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return std::nullopt;
}

std::string tail_of(const fs::path& log) {
  const auto text = read_file(log, kLargestLog);
  if (!text) return "it said nothing";
  const std::string all(text->begin(), text->end());
  return "it said last: " + (all.size() > kLogTail ? "..." + all.substr(all.size() - kLogTail) : all);
}

/// Runs the script to its end. The error says why there is no report.
Result<json> run_script(const CompilationRequest& request, const std::vector<std::string>& words, const Workplace& place) {
  const fs::path name = request.python.empty() ? fs::path("python3") : request.python;
  const auto python = find_program(name);
  const auto failed = [&](const std::string& reason) {
    return make_error(ErrorCode::kDeviceFailed, "compiling " + request.network.name + " needs Python with PyTorch " +
                                                    TORCH_VERSION + ", and " + name.string() + " " + reason);
  };
  if (!python) return failed("is not in PATH; name it with --python");
  auto log = create_file(place.log());
  if (!log) return log.error();
  SpawnedCommand command{python->string(), {python->string(), request.script.string()}, {}, log->get(), {}};
  command.arguments.insert(command.arguments.end(), words.begin(), words.end());
  for (char** variable = ::environ; *variable != nullptr; ++variable) command.environment.emplace_back(*variable);
  pid_t child = 0;
  if (const int error = spawn(command, child); error != 0)
    return failed("cannot be started: " + std::string(std::strerror(error)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const auto text = read_file(place.report(), kLargestReport);
  if (!text) return failed("did not finish; " + tail_of(place.log()));
  try {
    json report = json::parse(*text);
    if (report.contains("error"))
      return make_error(ErrorCode::kDeviceFailed,
                        request.network.name + " was not compiled: " + report.at("error").get<std::string>());
    return report;
  } catch (const json::exception& error) {
    return failed(std::string("left an unreadable report: ") + error.what());
  }
}

/// Why this cannot be compiled at all; empty when it can.
std::string obstacle(const CompilationRequest& request, Precision precision) {
  const NetworkInfo& network = request.network;
  if (network.architecture == "torchscript" || network.architecture == "aotinductor") return "it is a package already";
  if (network.architecture != "restormer" && network.architecture != "student-tiny")
    return "networks of the family " + network.architecture + " cannot be compiled yet; Restormer and student-tiny can";
  if (precision == Precision::kInt8) return "there are no compiled packages in int8; set another precision";
  if (network.weights.extension() == ".pt2") return "it is a package already";
  const cv::Size tile = request.tile;
  if (tile.width < 64 || tile.height < 64 || tile.width > 4096 || tile.height > 4096 || tile.width % network.multiple != 0 ||
      tile.height % network.multiple != 0)
    return "tiles have sides of 64 to 4096 pixels that are multiples of " + std::to_string(network.multiple);
  return {};
}

std::vector<std::string> words_for(const CompilationRequest& request, const TorchDevice::Kind& kind, Precision precision,
                                   int batch, const Workplace& place) {
  std::vector<std::string> words{"--weights",      request.network.weights.string(),
                                 "--architecture", request.network.architecture,
                                 "--device",       kind.traits.name,
                                 "--precision",    std::string(name_of(precision)),
                                 "--height",       std::to_string(request.tile.height),
                                 "--width",        std::to_string(request.tile.width),
                                 "--batch",        std::to_string(batch),
                                 "--torch",        TORCH_VERSION,
                                 "--output",       place.made().string(),
                                 "--report",       place.report().string()};
  if (request.network.local_window) words.insert(words.end(), {"--local-window", std::to_string(*request.network.local_window)});
  if (request.autotune) words.emplace_back("--autotune");
  if (request.tensorrt) words.insert(words.end(), {"--with", "tensorrt"});
  return words;
}

/// Checks and measures what was made. Throws what LibTorch throws.
Result<void> judge_package(const CompilationRequest& request, const TorchDevice::Kind& kind, CompilationReport& report) {
  const c10::InferenceMode inference;
  const NetworkInfo& network = request.network;
  const ForwardOptions options{kind.device, report.precision.precision, true, kind.strip_pixels};
  const auto compiled = open_compiled(network, report.package, options);
  if (!compiled) return compiled.error();
  const auto check = compare_with_plain(network, **compiled, options, request.tile, std::min(2, report.package.batch));
  if (!check) return check.error();
  report.check = *check;
  if (!check->passed)
    return make_error(ErrorCode::kDeviceFailed,
                      "the package of " + network.name + " is refused and deleted: " + refusal_of(*check).message);
  const auto optimized = load_torch_network(network, options);
  if (!optimized) return optimized.error();
  report.batch = std::min(report.package.batch, kind.default_batch);
  report.trial = try_out(network, options, **optimized, **compiled, request.tile, report.batch);
  return {};
}

}  // namespace

Result<CompilationReport> compile_network(const CompilationRequest& request) {
  const NetworkInfo& network = request.network;
  const auto kind = find_device(request.device);
  if (!kind) return kind.error();
  CompilationReport report;
  report.precision = choose_precision(network, kind->traits, request.device.precision, true);
  if (const std::string why_not = obstacle(request, report.precision.precision); !why_not.empty())
    return make_error(ErrorCode::kInvalidRequest, network.name + " cannot be compiled: " + why_not);
  const int batch = kind->is_cpu() ? 1 : request.batch > 0 ? request.batch : kind->default_batch;
  const CompiledCache cache(request.device.compiled);
  if (auto made = make_directories_synced(cache.folder()); !made) return made.error();
  const Workplace place(cache.folder());
  const auto answer = run_script(request, words_for(request, *kind, report.precision.precision, batch, place), place);
  if (!answer) return answer.error();
  try {
    report.package.file = place.made();
    report.package.compiler = answer->at("compiler").get<std::string>();
    report.package.variant = answer->at("variant").get<std::string>();
    report.package.runtime = answer->value("runtime", "");
    report.package.torch = answer->at("torch").get<std::string>();
    report.compile_seconds = answer->value("compile_seconds", 0.0);
    report.package.network = network.name;
    report.package.weights_sha256 = network.sha256;
    report.package.local_window = network.local_window;
    report.package.device = identify_device(kind->device);
    report.package.precision = report.precision.precision;
    report.package.width = request.tile.width;
    report.package.height = request.tile.height;
    report.package.batch = batch;
    report.package.made_ms = system_clock().now().time_since_epoch().count();
    if (const auto judged = judge_package(request, *kind, report); !judged) return judged.error();
  } catch (const c10::Error& error) {
    return make_error(ErrorCode::kDeviceFailed, kind->traits.name + " cannot run the package: " + error.what_without_backtrace());
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kDeviceFailed, kind->traits.name + " cannot run the package: " + error.what());
  }
  auto kept = cache.add(place.made(), report.package);
  if (!kept) return kept.error();
  report.package = *std::move(kept);
  return report;
}

}  // namespace retouchd::inference
