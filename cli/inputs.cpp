#include "cli/inputs.h"

#include <glob.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/picture_suffixes.h"

namespace retouchd::cli {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

/// Without "..", doubled slashes and a slash at the end.
fs::path made_absolute(const fs::path& path, const fs::path& current) {
  fs::path result = (current / path).lexically_normal();
  return result.has_filename() || !result.has_relative_path() ? result : result.parent_path();
}

void add_folder(const fs::path& folder, bool beside, Inputs& inputs) {
  std::vector<fs::path> found;
  std::error_code failed;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failed);
  for (; !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed)) {
    std::error_code gone;
    if (is_hidden(entry->path())) {
      if (entry->is_directory(gone)) entry.disable_recursion_pending();
      continue;
    }
    if (!entry->is_regular_file(gone) || !has_picture_suffix(entry->path().filename().native())) continue;
    if (beside && entry->path().stem().string().ends_with("_restored")) continue;
    if (entry->path().filename().string().ends_with(".depth.png")) continue;  // of a pair, or the result of one
    found.push_back(entry->path());
  }
  if (failed)
    inputs.missing.push_back(make_error(ErrorCode::kInputUnreadable, folder.string() + ": " + failed.message()));
  else if (found.empty())
    inputs.missing.push_back(make_error(ErrorCode::kInputMissing, folder.string() + " holds no pictures"));
  std::sort(found.begin(), found.end());
  for (auto& path : found) inputs.pictures.push_back({path, path.lexically_relative(folder)});
}

std::vector<fs::path> expand(const std::string& pattern, const fs::path& current) {
  std::vector<fs::path> paths;
  glob_t found{};
  if (::glob((current / pattern).c_str(), GLOB_NOSORT, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());
  return paths;
}

void add(const fs::path& path, bool beside, Inputs& inputs) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    inputs.has_folder = true;
    add_folder(path, beside, inputs);
  } else {
    inputs.pictures.push_back({path, path.filename()});
  }
}

}  // namespace

Inputs find_inputs(const std::vector<std::string>& arguments, const fs::path& current, bool beside) {
  Inputs inputs;
  for (const auto& argument : arguments) {
    const fs::path path = made_absolute(argument, current);
    std::error_code failed;
    const auto status = fs::symlink_status(path, failed);
    if (status.type() != fs::file_type::not_found && status.type() != fs::file_type::none) {
      add(path, beside, inputs);
      continue;
    }
    const bool is_pattern = argument.find_first_of("*?[") != std::string::npos;
    const auto matches = is_pattern ? expand(argument, current) : std::vector<fs::path>{};
    for (const auto& match : matches) add(made_absolute(match, current), beside, inputs);
    if (!matches.empty()) continue;
    const bool is_absent = status.type() == fs::file_type::not_found;
    const std::string reason = is_pattern ? "no file matches" : is_absent ? "no such file or folder" : failed.message();
    inputs.missing.push_back(make_error(ErrorCode::kInputMissing, argument + ": " + reason));
  }
  std::set<fs::path> seen;  // a picture named twice is one
  std::erase_if(inputs.pictures, [&seen](const Input& input) { return !seen.insert(input.source).second; });
  return inputs;
}

Result<std::vector<std::string>> plan_outputs(const Inputs& inputs, const std::string& output, const fs::path& current) {
  std::vector<std::string> outputs(inputs.pictures.size());
  if (output.empty()) return outputs;
  const fs::path wanted = made_absolute(output, current);
  std::error_code ignored;
  const bool is_folder = output.ends_with('/') || inputs.has_folder || inputs.pictures.size() + inputs.missing.size() > 1 ||
                         fs::is_directory(wanted, ignored);
  std::map<std::string, fs::path> taken;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Input& input = inputs.pictures[i];
    outputs[i] = (is_folder ? wanted / input.relative : wanted).string();
    const auto [other, is_new] = taken.emplace(outputs[i], input.source);
    if (!is_new) {
      return make_error(ErrorCode::kInvalidRequest, input.source.string() + " and " + other->second.string() +
                                                        " would both become " + outputs[i] + "; submit them apart");
    }
  }
  return outputs;
}

}  // namespace retouchd::cli
