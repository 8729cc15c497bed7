#include "inference/backend_choice.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "inference/networks/by_shape_network.h"

namespace retouchd::inference {
namespace {

/// "24" or "2.4": milliseconds of one tile.
std::string milliseconds(double seconds, int batch) {
  const double value = 1000 * seconds / batch;
  char text[32];
  std::snprintf(text, sizeof(text), value < 10 ? "%.1f" : "%.0f", value);
  return text;
}

std::string ratio_of(const Trial& trial) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", trial.first / trial.second);
  return text;
}

std::string compiler_of(const CompiledPackage& package) { return package.compiler == "tensorrt" ? "TensorRT" : "AOTInductor"; }

std::string name_of_package(const CompiledPackage& package) {
  return "the compiled package of " + package.network + " for " + shape_of(package) + " (" + compiler_of(package) + ")";
}

/// What is known about the candidates of one shape.
struct Shape {
  std::optional<Candidate> best;
  std::optional<Trial> trial;
  double memory = 1;
  std::string refused;  ///< what the fastest of those that are slower than optimized took
};

std::string figures(const CompiledPackage& package, const Trial& trial, int batch) {
  return milliseconds(trial.second, batch) + " against " + milliseconds(trial.first, batch) + " ms a tile, batch " +
         std::to_string(std::min(batch, package.batch));
}

void judge_candidate(Shape& shape, Candidate candidate, const TorchNetwork& optimized, Backend wanted, const Judges& judges,
                     BackendChoice& choice) {
  const CompiledPackage package = candidate.package;
  const auto skip = [&](const std::string& reason) {
    choice.warnings.push_back(name_of_package(package) + " is not used: " + reason);
  };
  try {
    if (const auto valid = judges.check(candidate); !valid) return skip(valid.error().message);
    if (wanted == Backend::kCompiled) {
      if (shape.best) return;
      shape.memory = judges.memory(optimized, candidate);
      shape.best = std::move(candidate);
      return;
    }
    const int batch = std::min(judges.batch, package.batch);
    const Trial trial = judges.trial(optimized, candidate);
    if (!trial.second_is_faster()) {
      shape.refused = "optimized for " + shape_of(package) + ", as the package (" + compiler_of(package) + ") is not faster (" +
                      figures(package, trial, batch) + ")";
    } else if (!shape.trial || trial.second < shape.trial->second) {
      shape.memory = judges.memory(optimized, candidate);
      shape.best = std::move(candidate);
      shape.trial = trial;
    }
  } catch (const c10::Error& error) {
    skip(error.what_without_backtrace());
  } catch (const std::exception& error) {
    skip(error.what());
  }
}

void add_clause(std::string& reason, const std::string& clause) { reason += (reason.empty() ? "" : "; ") + clause; }

}  // namespace

Chosen pick(std::unique_ptr<TorchNetwork> optimized, std::vector<Candidate> candidates, Backend wanted, const Judges& judges) {
  BackendChoice choice;
  std::map<std::pair<int, int>, Shape> shapes;  // by width and height
  for (Candidate& candidate : candidates) {
    Shape& shape = shapes[{candidate.package.width, candidate.package.height}];
    judge_candidate(shape, std::move(candidate), *optimized, wanted, judges, choice);
  }
  std::vector<ShapedNetwork> shaped;
  for (auto& [size, shape] : shapes) {
    if (!shape.best) {
      if (!shape.refused.empty()) add_clause(choice.reason, shape.refused);
      continue;
    }
    const CompiledPackage& package = shape.best->package;
    const std::string name = backend_name_of(package);
    std::string clause = name + " for " + shape_of(package) + " (" + compiler_of(package) + "): ";
    clause += shape.trial ? ratio_of(*shape.trial) + " times as fast as optimized (" +
                                figures(package, *shape.trial, std::min(judges.batch, package.batch)) + ")"
                          : "asked for";
    add_clause(choice.reason, clause);
    if (choice.backend != Backend::kCompiled) choice.name = name;
    choice.backend = Backend::kCompiled;
    choice.memory = std::max(choice.memory, shape.memory);
    shaped.push_back({package.height, package.width, package.batch, name_of_package(package), std::move(shape.best->network)});
  }
  if (shaped.empty()) return {std::move(optimized), std::move(choice)};
  return {make_by_shape(std::move(optimized), std::move(shaped), judges.warn), std::move(choice)};
}

}  // namespace retouchd::inference
