#include "inference/registry.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/file.h"
#include "inference/safetensors.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;

std::optional<int> number(const WeightHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  if (found == header.metadata.end()) return std::nullopt;
  int value = 0;
  const auto* end = found->second.data() + found->second.size();
  if (std::from_chars(found->second.data(), end, value).ptr != end || value < 0) return std::nullopt;
  return value;
}

std::string text(const WeightHeader& header, const std::string& key) {
  const auto found = header.metadata.find(key);
  return found != header.metadata.end() ? found->second : std::string{};
}

/// nullopt for files that hold something else than one of our networks.
std::optional<NetworkInfo> describe(const fs::path& file) {
  const auto header = read_safetensors_header(file);
  if (!header) {
    spdlog::warn("{}", header.error().message);
    return std::nullopt;
  }
  NetworkInfo info;
  info.name = file.stem().string();
  info.architecture = text(*header, "arch");
  if (info.architecture != "student-tiny") {
    if (!info.architecture.empty())
      spdlog::warn("{}: architecture `{}` is not supported; skipped", file.string(), info.architecture);
    return std::nullopt;
  }
  info.task = text(*header, "task");
  info.license = text(*header, "license");
  info.scale = number(*header, "scale").value_or(1);
  info.multiple = std::max(8, number(*header, "multiple").value_or(8));
  info.receptive_field = number(*header, "receptive_field");
  info.parameters = header->elements();
  info.weights = file;
  auto digest = sha256_hex_of_file(file);
  if (!digest) return std::nullopt;
  info.sha256 = *digest;
  return info;
}

}  // namespace

Registry Registry::scan(const std::vector<fs::path>& folders) {
  Registry registry;
  registry.folders_ = folders;
  for (const auto& folder : folders) {
    std::error_code ignored;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (entry.path().extension() == ".safetensors" && entry.path().stem().extension() != ".golden")
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      if (registry.find(file.stem().string())) continue;
      if (auto info = describe(file)) registry.networks_.push_back(std::move(*info));
    }
  }
  return registry;
}

Result<NetworkInfo> Registry::find(std::string_view name) const {
  const auto found =
      std::find_if(networks_.begin(), networks_.end(), [name](const NetworkInfo& info) { return info.name == name; });
  if (found != networks_.end()) return *found;
  std::string known;
  for (const auto& info : networks_) known += (known.empty() ? "" : ", ") + info.name;
  std::string places;
  for (const auto& folder : folders_) places += (places.empty() ? "" : ", ") + folder.string();
  return make_error(ErrorCode::kUnknownNetwork, "there is no network `" + std::string(name) +
                                                    "`; known: " + (known.empty() ? "none" : known) + " (looked in " +
                                                    (places.empty() ? "no folder" : places) + ")");
}

}  // namespace retouchd::inference
