#include "inference/registry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "inference/identity.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kSuffixes{".safetensors", ".pth", ".pt", ".pt2"};  // the first one wins a name

std::ptrdiff_t rank_of(const fs::path& file) {
  return std::find(kSuffixes.begin(), kSuffixes.end(), file.extension().string()) - kSuffixes.begin();
}

/// By name, so that the best format of a name comes first.
std::vector<fs::path> weight_files_in(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const bool is_weights = rank_of(entry.path()) < std::ssize(kSuffixes);
    if (is_weights && entry.path().stem().extension() != ".golden") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(a.stem(), rank_of(a)) < std::pair(b.stem(), rank_of(b));
  });
  return files;
}

}  // namespace

Registry::Registry(Options options) { rescan(std::move(options)); }

void Registry::rescan() {
  std::unique_lock lock(mutex_);
  Options options = options_;
  lock.unlock();
  rescan(std::move(options));
}

void Registry::rescan(Options options) {
  const std::lock_guard scan(scanning_);
  auto fresh = std::make_shared<Contents>();
  const auto is_taken = [&fresh](const std::string& name) {
    return std::any_of(fresh->networks.begin(), fresh->networks.end(),
                       [&](const NetworkInfo& info) { return info.name == name; });
  };
  fresh->networks.push_back(identity_network());
  for (const fs::path& folder : options.folders) {
    for (const fs::path& file : weight_files_in(folder)) {
      if (file.stem() == fresh->networks.front().name) {
        fresh->refused.push_back({file, file.string() + " has the name of a built-in network; give it another one"});
        spdlog::warn("{}", fresh->refused.back().reason);
        continue;
      }
      if (is_taken(file.stem().string())) continue;
      auto info = describe(file, options);
      if (info) {
        fresh->networks.push_back(*std::move(info));
      } else {
        spdlog::warn("{}", info.error().message);
        fresh->refused.push_back({file, info.error().message});
      }
    }
  }
  std::sort(fresh->networks.begin(), fresh->networks.end(),
            [](const NetworkInfo& a, const NetworkInfo& b) { return a.name < b.name; });
  const std::lock_guard lock(mutex_);
  options_ = std::move(options);
  contents_ = std::move(fresh);
}

Result<NetworkInfo> Registry::describe(const fs::path& file, const Options& options) {
  auto info = describe_network(file, true, options.local_attention, options.largest_file);
  if (!info) return info;
  const auto identity = identify_file(file);
  if (!identity) return identity.error();
  auto digest = digest_of(file, *identity);
  if (!digest) return digest.error();
  info->sha256 = *digest;
  return info;
}

Result<std::string> Registry::digest_of(const fs::path& file, const FileIdentity& identity) {
  const auto known = known_.find(file);
  if (known != known_.end() && known->second.identity == identity) return known->second.sha256;
  auto digest = sha256_hex_of_file(file);
  if (digest) known_[file] = {identity, *digest};
  return digest;
}

std::shared_ptr<const Registry::Contents> Registry::contents() const {
  const std::lock_guard lock(mutex_);
  return contents_;
}

Result<NetworkInfo> Registry::find(std::string_view name) const {
  const auto now = contents();
  const auto found =
      std::find_if(now->networks.begin(), now->networks.end(), [name](const NetworkInfo& info) { return info.name == name; });
  if (found != now->networks.end()) return *found;
  for (const Refused& refused : now->refused) {
    if (refused.file.stem() == name)
      return make_error(ErrorCode::kBadWeights, "network `" + std::string(name) + "` cannot be used: " + refused.reason);
  }
  std::string known;
  for (const auto& info : now->networks) known += (known.empty() ? "" : ", ") + info.name;
  std::string places;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& folder : options_.folders) places += (places.empty() ? "" : ", ") + folder.string();
  }
  return make_error(ErrorCode::kUnknownNetwork, "there is no network `" + std::string(name) +
                                                    "`; known: " + (known.empty() ? "none" : known) + " (looked in " +
                                                    (places.empty() ? "no folder" : places) + ")");
}

}  // namespace retouchd::inference
