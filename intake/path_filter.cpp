#include "intake/path_filter.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/picture_suffixes.h"

namespace retouchd::intake {
namespace {

constexpr Bytes kMaxRules = mebibytes(1);

/// `folder` below `root`, or nullopt when it is elsewhere or the root itself.
std::optional<std::string> below(const std::filesystem::path& folder, const std::filesystem::path& root) {
  std::string relative = folder.lexically_relative(root).string();
  while (relative.ends_with('/')) relative.pop_back();
  if (relative.empty() || relative == "." || relative == ".." || relative.starts_with("../")) return std::nullopt;
  return relative;
}

std::filesystem::path resolved(const std::filesystem::path& path) {
  std::error_code error;
  auto real = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

}  // namespace

PathFilter::PathFilter(std::filesystem::path root, std::vector<std::filesystem::path> excluded)
    : root_(std::move(root)), excluded_(std::move(excluded)) {}

Result<void> PathFilter::refresh() {
  excluded_below_.clear();
  const std::filesystem::path real_root = resolved(root_);
  for (const auto& folder : excluded_) {
    if (folder.empty()) continue;
    if (auto relative = below(folder.lexically_normal(), root_.lexically_normal()))
      excluded_below_.push_back(std::move(*relative));
    if (auto relative = below(resolved(folder), real_root)) excluded_below_.push_back(std::move(*relative));
  }

  rules_ = IgnoreRules();
  const auto text = read_file(root_ / IgnoreRules::kFileName, kMaxRules);
  if (text) {
    rules_ = IgnoreRules({reinterpret_cast<const char*>(text->data()), text->size()});
  } else if (text.error().code != ErrorCode::kInputMissing && text.error().code != ErrorCode::kInputEmpty) {
    return text.error();
  }
  return {};
}

bool PathFilter::wants_folder(std::string_view folder) const {
  return !rules_.ignores_folder(folder) &&
         std::find(excluded_below_.begin(), excluded_below_.end(), folder) == excluded_below_.end();
}

bool PathFilter::wants_file(std::string_view path) const { return has_picture_suffix(path) && !rules_.ignores_file(path); }

bool PathFilter::reaches_file(std::string_view path) const {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    if (!wants_folder(path.substr(0, slash))) return false;
  }
  return wants_file(path);
}

}  // namespace retouchd::intake
