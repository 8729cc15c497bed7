#include "intake/tree_scan.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string_view>
#include <utility>

#include "intake/watched_file.h"

namespace retouchd::intake {
namespace {

bool is_folder(int parent, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  struct stat info {};
  return ::fstatat(parent, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace

TreeScan::TreeScan(std::filesystem::path root, std::string folder, bool recursive, const Visitor& visitor)
    : root_(std::move(root)), first_(std::move(folder)), recursive_(recursive), whole_(first_.empty()), visitor_(visitor) {
  todo_.push_back(first_);
}

bool TreeScan::open_next() {
  while (!todo_.empty()) {
    folder_ = std::move(todo_.back());
    todo_.pop_back();
    // Entering first: who watches a folder before reading it misses nothing.
    if (!visitor_.enter(folder_)) continue;
    auto folder = open_folder_beneath(root_, folder_);
    if (!folder) continue;  // removed or replaced since its name was read, or not ours to read
    open_.reset(::fdopendir(folder->get()));
    if (!open_) continue;
    (void)folder->release();
    return true;
  }
  return false;
}

bool TreeScan::step(int entries) {
  for (int i = 0; i < entries; ++i) {
    if (!open_ && !open_next()) return false;
    const dirent* entry = ::readdir(open_.get());
    if (entry == nullptr) {
      open_.reset();
      continue;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    const int parent = ::dirfd(open_.get());
    if (is_folder(parent, *entry)) {
      if (recursive_) todo_.push_back(join_path(folder_, name));
    } else if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) {
      visitor_.file(folder_, std::string(name), parent);
    }
  }
  return true;
}

}  // namespace retouchd::intake
