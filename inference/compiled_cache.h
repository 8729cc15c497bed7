#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "inference/network_info.h"
#include "inference/precision.h"

namespace retouchd::inference {

/// A device as packages know it: they run nowhere else.
struct DeviceIdentity {
  std::string key;          ///< "cpu-1f2e3d4c5b6a", "cuda-nvidia-h200-sm90": part of file names
  std::string description;  ///< for people: the CPU's model, or the GPU's name and compute capability
};

/// A compiled network: a file, and what its description (a JSON file of the same name) says about it.
struct CompiledPackage {
  std::filesystem::path file;     ///< *.pt2 (AOTInductor) or *.ts (TensorRT in TorchScript)
  std::string file_sha256;        ///< of that file
  std::string compiler;           ///< "inductor" or "tensorrt"
  std::string variant;            ///< what the compiler was given, or its version
  std::filesystem::path runtime;  ///< tensorrt: the library that must be loaded first
  std::string network;
  std::string weights_sha256;
  std::optional<int> local_window;
  DeviceIdentity device;
  Precision precision = Precision::kFp32;
  int width = 0;
  int height = 0;
  int batch = 1;  ///< the most tiles in one call
  std::string torch;
  std::int64_t made_ms = 0;  ///< UNIX time
};

/// "512x512": width and height.
[[nodiscard]] std::string shape_of(const CompiledPackage& package);
/// "compiled", or "compiled (tensorrt)".
[[nodiscard]] std::string backend_name_of(const CompiledPackage& package);

/// The packages that `retouch compile` made, in one folder: <weights' SHA-256>-<device key>-<precision>-<width>x<height>.pt2,
/// each with a .json beside it. Opening one runs its code: the folder belongs to the daemon's state, which nobody else may write.
/// Threads: safe; files are replaced by renaming.
class CompiledCache {
 public:
  /// The folder need not exist; empty: a cache without anything in it.
  explicit CompiledCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

  struct Found {
    std::vector<CompiledPackage> packages;  ///< by shape; that of a compiler each
    std::vector<std::string> warnings;      ///< what was skipped, why, and what to do
  };

  /// The packages of this network for this device and precision, made by this version of LibTorch, whose files are what they
  /// were when they were made. None of a folder that everybody may write to, or that belongs to another user than root and
  /// this one.
  [[nodiscard]] Found find(const NetworkInfo& network, const DeviceIdentity& device, Precision precision,
                           std::string_view torch) const;

  struct Entry {
    std::filesystem::path description;
    std::optional<CompiledPackage> package;  ///< nullopt: the description cannot be read
  };
  /// Everything, by file name.
  [[nodiscard]] std::vector<Entry> list() const;

  /// Takes `made` (in folder(), under a temporary name) as `package`, whose `file` and `file_sha256` are filled in. Replaces what
  /// was there. kOutputDenied, kIoError.
  [[nodiscard]] Result<CompiledPackage> add(const std::filesystem::path& made, CompiledPackage package) const;

  /// Deletes a package with its description.
  void remove(const Entry& entry) const;

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace retouchd::inference
