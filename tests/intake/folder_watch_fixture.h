#pragma once

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "intake/folder_watch.h"
#include "tests/temporary_folder.h"
#include "watched_job_store.h"

namespace retouchd::intake {

/// One watched folder with short waits, whose thread is the test's own.
class FolderWatchTest : public testing::Test {
 protected:
  FolderWatchTest() {
    watch_.name = "photos";
    watch_.path = scratch_.path() / "in";
    watch_.output = scratch_.path() / "out";
    watch_.settle = std::chrono::milliseconds(20);
    watch_.settle_unseen = std::chrono::milliseconds(40);
    options_.network = "small";
    options_.needs_polling = [](const auto&) { return false; };
    std::filesystem::create_directory(watch_.path);
  }

  void start() {
    folder_watch_ = std::make_unique<FolderWatch>(io_, store_, system_clock(), watch_, options_);
    folder_watch_->start();
  }
  void start_and_see_it_up() {
    start();
    ASSERT_TRUE(run_until([&] { return status().up; }));
  }

  /// Runs the watch until `condition` holds; false when it does not come to hold.
  bool run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(100));
    }
    return true;
  }
  bool run_until_jobs(std::size_t count) {
    return run_until([&] { return store_.size() >= count; });
  }
  /// Everything that was there is seen when a file that comes later is a job.
  bool run_until_all_is_seen() {
    const std::string name = "marker-" + std::to_string(++markers_) + ".jpg";
    write_text(watch_.path / name, "marker");
    return run_until([&] { return names().contains(name); });
  }
  bool run_until_scanned() {
    // A whole scan counts the ignored files anew.
    write_text(watch_.path / "notes.txt", "");
    if (!run_until([&] { return status().ignored > 0; })) return false;
    std::filesystem::remove(watch_.path / "notes.txt");
    folder_watch_->rescan();
    return run_until([&] { return status().ignored == 0; });
  }

  WatchStatus status() const { return folder_watch_->status(); }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& job : store_.jobs()) all.insert(job.request.name);
    return all;
  }

  TemporaryFolder scratch_;
  config::Watch watch_;
  FolderWatchOptions options_;
  WatchedJobStore store_;
  boost::asio::io_context io_{1};
  std::unique_ptr<FolderWatch> folder_watch_;
  int markers_ = 0;
};

}  // namespace retouchd::intake
