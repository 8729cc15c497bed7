#include "config/reader.h"

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "base/file.h"
#include "config/draft.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

constexpr Bytes kLargestFile = mebibytes(1);  // ours has 15 KiB

void read_file_into(Draft& draft, const fs::path& file, const Environment& environment) {
  auto data = read_file(file, kLargestFile);
  if (data) {
    draft.read({reinterpret_cast<const char*>(data->data()), data->size()}, file.string(), environment);
  } else if (data.error().code == ErrorCode::kPictureTooLarge) {
    draft.refuse(file.string(), "larger than " + to_string(kLargestFile));
  } else if (data.error().code != ErrorCode::kInputEmpty) {
    draft.refuse(file.string(), data.error().message);
  }
}

std::vector<fs::path> files_beside(const fs::path& file, Draft& draft) {
  const fs::path folder = file.parent_path() / "conf.d";
  std::vector<fs::path> files;
  std::error_code error;
  if (!fs::exists(folder, error)) return files;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    if (path.extension() == ".yaml" && !path.filename().native().starts_with('.')) files.push_back(path);
  }
  if (error) draft.refuse(folder.string(), "cannot be read: " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Result<Config> read_config(const fs::path& file, const Environment& environment) {
  Draft draft;
  read_file_into(draft, file, environment);
  for (const fs::path& more : files_beside(file, draft)) read_file_into(draft, more, environment);
  auto config = std::move(draft).finish(file.string(), environment);
  if (config) config->file = file;
  return config;
}

Result<Config> read_config_text(std::string_view text, std::string_view name, const Environment& environment) {
  Draft draft;
  draft.read(text, std::string(name), environment);
  return std::move(draft).finish(std::string(name), environment);
}

Config default_config(const Environment& environment) {
  Config config;
  fill_in_defaults(config, environment);
  return config;
}

Result<Config> load_config(const std::optional<fs::path>& chosen, const Environment& environment) {
  if (chosen) return read_config(*chosen, environment);
  if (const auto found = find_config_file(environment)) return read_config(*found, environment);
  return read_config_text("", "built-in defaults", environment);
}

}  // namespace retouchd::config
