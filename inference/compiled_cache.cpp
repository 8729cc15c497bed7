#include "inference/compiled_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/file.h"

namespace retouchd::inference {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Bytes kLargestDescription = mebibytes(1);

std::string name_for(const CompiledPackage& package) {
  return package.weights_sha256 + "-" + package.device.key + "-" + std::string(name_of(package.precision)) + "-" +
         (package.local_window ? "local" + std::to_string(*package.local_window) + "-" : "") + shape_of(package) +
         (package.compiler == "tensorrt" ? "-tensorrt.ts" : ".pt2");
}

json to_json(const CompiledPackage& package) {
  return {{"file", package.file.filename().string()},
          {"file_sha256", package.file_sha256},
          {"compiler", package.compiler},
          {"variant", package.variant},
          {"runtime", package.runtime.string()},
          {"network", package.network},
          {"weights_sha256", package.weights_sha256},
          {"local_window", package.local_window ? json(*package.local_window) : json()},
          {"device_key", package.device.key},
          {"device", package.device.description},
          {"precision", name_of(package.precision)},
          {"width", package.width},
          {"height", package.height},
          {"batch", package.batch},
          {"torch", package.torch},
          {"made_ms", package.made_ms}};
}

/// nullopt when the file is missing, cut short, or of another program.
std::optional<CompiledPackage> read_description(const fs::path& file) {
  const auto text = read_file(file, kLargestDescription);
  if (!text) return std::nullopt;
  try {
    const json from = json::parse(*text);
    CompiledPackage package;
    const fs::path name = from.at("file").get<std::string>();
    if (name.empty() || name != name.filename()) return std::nullopt;
    package.file = file.parent_path() / name;
    package.file_sha256 = from.at("file_sha256").get<std::string>();
    package.compiler = from.at("compiler").get<std::string>();
    package.variant = from.at("variant").get<std::string>();
    package.runtime = from.at("runtime").get<std::string>();
    package.network = from.at("network").get<std::string>();
    package.weights_sha256 = from.at("weights_sha256").get<std::string>();
    if (!from.at("local_window").is_null()) package.local_window = from.at("local_window").get<int>();
    package.device = {from.at("device_key").get<std::string>(), from.at("device").get<std::string>()};
    const auto precision = precision_named(from.at("precision").get<std::string>());
    if (!precision) return std::nullopt;
    package.precision = *precision;
    package.width = from.at("width").get<int>();
    package.height = from.at("height").get<int>();
    package.batch = from.at("batch").get<int>();
    package.torch = from.at("torch").get<std::string>();
    package.made_ms = from.at("made_ms").get<std::int64_t>();
    if (package.width < 1 || package.height < 1 || package.batch < 1) return std::nullopt;
    return package;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

/// Why a package of this network and precision cannot be used here; empty when it can.
std::string obstacle(const CompiledPackage& package, const DeviceIdentity& device, std::string_view torch) {
  if (package.device.key != device.key) return "was made for " + package.device.description;
  if (package.torch != torch) return "was made by PyTorch " + package.torch + ", this is LibTorch " + std::string(torch);
  if (package.compiler != "inductor" && package.compiler != "tensorrt")
    return "is of an unknown kind, `" + package.compiler + "`";
  const auto digest = sha256_hex_of_file(package.file);
  if (!digest) return "cannot be read: " + digest.error().message;
  if (*digest != package.file_sha256) return "is not what it was when it was made";
  return {};
}

/// Why nothing in `folder` is run; empty when it may be, or there is none.
std::string distrust_of(const fs::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0) return {};
  if ((about.st_mode & S_IWOTH) != 0) return "everybody may write to it; `chmod o-w` it";
  if (about.st_uid != 0 && about.st_uid != ::geteuid()) return "it belongs to another user; `chown` it";
  return {};
}

}  // namespace

std::string shape_of(const CompiledPackage& package) {
  return std::to_string(package.width) + "x" + std::to_string(package.height);
}

std::string backend_name_of(const CompiledPackage& package) {
  return package.compiler == "tensorrt" ? "compiled (tensorrt)" : "compiled";
}

CompiledCache::Found CompiledCache::find(const NetworkInfo& network, const DeviceIdentity& device, Precision precision,
                                         std::string_view torch) const {
  Found found;
  if (const std::string why = distrust_of(folder_); !why.empty()) {
    found.warnings.push_back("the compiled packages in " + folder_.string() + " are not used: " + why);
    return found;
  }
  std::vector<std::pair<std::string, std::string>> skipped;  // shape and warning
  for (const Entry& entry : list()) {
    if (!entry.package) {
      if (entry.description.filename().string().starts_with(network.sha256)) {
        found.warnings.push_back(entry.description.string() + " is damaged; make the package again with `retouch compile " +
                                 network.name + "`");
      }
      continue;
    }
    const CompiledPackage& package = *entry.package;
    if (package.weights_sha256 != network.sha256 || package.precision != precision ||
        package.local_window != network.local_window)
      continue;
    if (const std::string why_not = obstacle(package, device, torch); !why_not.empty()) {
      skipped.emplace_back(shape_of(package), "the compiled package of " + network.name + " for " + shape_of(package) + " " +
                                                  why_not + "; it is not used; make one with `retouch compile " + network.name +
                                                  "` (" + package.file.filename().string() + ")");
      continue;
    }
    found.packages.push_back(package);
  }
  // A cache may serve several devices: one package that can be used is all that a shape needs.
  for (auto& [shape, warning] : skipped) {
    const bool is_served = std::any_of(found.packages.begin(), found.packages.end(),
                                       [&shape = shape](const CompiledPackage& package) { return shape_of(package) == shape; });
    if (!is_served) found.warnings.push_back(std::move(warning));
  }
  return found;
}

std::vector<CompiledCache::Entry> CompiledCache::list() const {
  std::vector<Entry> entries;
  if (folder_.empty()) return entries;
  std::error_code ignored;
  for (const auto& file : fs::directory_iterator(folder_, ignored)) {
    if (file.path().extension() == ".json") entries.push_back({file.path(), read_description(file.path())});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.description < b.description; });
  return entries;
}

Result<CompiledPackage> CompiledCache::add(const fs::path& made, CompiledPackage package) const {
  const auto digest = sha256_hex_of_file(made);
  if (!digest) return digest.error();
  package.file_sha256 = *digest;
  package.file = folder_ / name_for(package);
  // Between the two renames the old description meets the new file, or none: both are refused for their digest.
  const fs::path description = package.file.string() + ".json";
  const fs::path temporary = made.string() + ".json.part";
  const std::string text = to_json(package).dump(2) + "\n";
  if (auto written = write_file_synced(temporary, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}); !written)
    return written.error();
  std::error_code failed;
  fs::rename(made, package.file, failed);
  if (!failed) fs::rename(temporary, description, failed);
  if (failed) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    return make_error(ErrorCode::kIoError, package.file.string() + " cannot be written: " + failed.message());
  }
  if (auto synced = sync_directory(folder_); !synced) return synced.error();
  return package;
}

void CompiledCache::remove(const Entry& entry) const {
  std::error_code ignored;
  if (entry.package) fs::remove(entry.package->file, ignored);
  fs::remove(entry.description, ignored);
}

}  // namespace retouchd::inference
