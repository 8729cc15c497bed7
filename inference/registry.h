#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "inference/network_info.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// Every network that can be asked for: `identity` (identity.h), and one per weight file (*.safetensors, *.pth, *.pt, *.pt2) of
/// the model folders that holds a known architecture. Threads: safe.
class Registry {
 public:
  struct Options {
    std::vector<std::filesystem::path> folders;  ///< the first folder that holds a name wins
    bool local_attention = false;                ///< Restormer: unless its manifest says otherwise
    Bytes largest_file = gibibytes(4);
  };
  /// A file in a model folder that cannot be used.
  struct Refused {
    std::filesystem::path file;
    std::string reason;
  };
  struct Contents {
    std::vector<NetworkInfo> networks;  ///< by name
    std::vector<Refused> refused;
  };

  /// Reads the headers of all weight files. Files that cannot be used are logged and listed; an empty result is an error only
  /// when a job asks for a network.
  explicit Registry(Options options);

  /// Looks again. Files that did not change are not read again.
  void rescan();
  /// The same with other options.
  void rescan(Options options);

  /// What is there now; it does not change.
  [[nodiscard]] std::shared_ptr<const Contents> contents() const;

  /// kUnknownNetwork naming what is there, and where was looked.
  [[nodiscard]] Result<NetworkInfo> find(std::string_view name) const;

 private:
  /// What a file was when it was read.
  struct Known {
    FileIdentity identity;
    std::string sha256;
  };

  [[nodiscard]] Result<NetworkInfo> describe(const std::filesystem::path& file, const Options& options);
  [[nodiscard]] Result<std::string> digest_of(const std::filesystem::path& file, const FileIdentity& identity);

  std::mutex scanning_;  // guards known_: one scan at a time
  std::map<std::filesystem::path, Known> known_;
  mutable std::mutex mutex_;  // guards what follows
  Options options_;
  std::shared_ptr<const Contents> contents_;
};

/// The family that tensors of these names and shapes belong to: "restormer", "drct", what `arch` of the metadata says, or
/// nothing.
[[nodiscard]] std::string architecture_of(const WeightHeader& header);

/// What one weight file holds. `is_ours` says that it lies in a model folder: only then packages, which are code, are accepted.
/// Everything but the digest is filled in. kBadWeights names the file and the reason.
[[nodiscard]] Result<NetworkInfo> describe_network(const std::filesystem::path& file, bool is_ours, bool local_attention,
                                                   Bytes largest_file = gibibytes(4));

}  // namespace retouchd::inference
