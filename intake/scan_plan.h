#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

namespace retouchd::intake {

/// Which folders are to be scanned next. One scan of all stands for any number of single ones, so the list stays short.
///
/// Confined to one thread. Folders are relative to the watched folder, "" being all of it.
class ScanPlan {
 public:
  static constexpr std::size_t kMaxFolders = 1'024;

  void add_all() {
    all_ = true;
    folders_.clear();
  }

  void add(const std::string& folder) {
    if (all_) return;
    if (folders_.size() >= kMaxFolders) return add_all();
    folders_.push_back(folder);
  }

  /// Takes the next one out; nullopt when nothing is wanted.
  [[nodiscard]] std::optional<std::string> take() {
    if (all_) {
      all_ = false;
      return std::string();
    }
    if (folders_.empty()) return std::nullopt;
    std::string folder = std::move(folders_.front());
    folders_.pop_front();
    return folder;
  }

  [[nodiscard]] bool empty() const { return !all_ && folders_.empty(); }

  void clear() {
    all_ = false;
    folders_.clear();
  }

 private:
  bool all_ = false;
  std::deque<std::string> folders_;
};

}  // namespace retouchd::intake
