#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "inference/backend.h"
#include "inference/compiled_cache.h"
#include "inference/networks/torch_network.h"
#include "inference/trial.h"

namespace retouchd::inference {

/// A package that was opened.
struct Candidate {
  CompiledPackage package;
  std::unique_ptr<TorchNetwork> network;
};

/// How candidates are judged.
struct Judges {
  /// Compares with the plain path; the error says what is wrong.
  std::function<Result<void>(const Candidate&)> check;
  /// One call of the optimized network (Trial::first) against one of the candidate.
  std::function<Trial(const TorchNetwork& optimized, const Candidate&)> trial;
  /// Memory for the tensors of such a call over that of the optimized one.
  std::function<double(const TorchNetwork& optimized, const Candidate&)> memory;
  /// Tiles in such a call.
  int batch = 1;
  std::function<void(const std::string& warning)> warn;  ///< later, while computing
};

/// A network and who computes it.
struct Chosen {
  std::unique_ptr<TorchNetwork> network;
  BackendChoice choice;
};

/// kAuto: for each shape the fastest candidate that is valid and faster than `optimized`; kCompiled: any that is valid, without a
/// trial. The rest is computed by `optimized`. A judge that throws std::exception refuses its candidate.
[[nodiscard]] Chosen pick(std::unique_ptr<TorchNetwork> optimized, std::vector<Candidate> candidates, Backend wanted,
                          const Judges& judges);

struct BackendRequest {
  Backend wanted = Backend::kAuto;
  std::filesystem::path cache;  ///< empty: no packages
  int batch = 1;                ///< tiles of a call as the device likes them
  bool deterministic = false;   ///< nothing is chosen by the clock: kAuto is kOptimized
};

/// Opens what the cache has for network, device and precision, judges it, and picks. What cannot be used is told in the choice's
/// warnings, and `optimized` computes. Takes some seconds where packages are there.
[[nodiscard]] Chosen choose_backend(const NetworkInfo& network, std::unique_ptr<TorchNetwork> optimized,
                                    const ForwardOptions& options, const BackendRequest& request);

}  // namespace retouchd::inference
