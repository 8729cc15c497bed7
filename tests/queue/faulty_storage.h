#pragma once

#include <sqlite3.h>

#include <atomic>
#include <limits>

namespace retouchd::queue {

/// While one exists, SQLite's files go through it, and writes and syncs fail when the test says so. One at a time.
class FaultyStorage {
 public:
  FaultyStorage() {
    real_ = sqlite3_vfs_find(nullptr);
    vfs_ = *real_;
    vfs_.zName = "faulty";
    vfs_.xOpen = &open;
    sqlite3_vfs_register(&vfs_, 1);
    repair();
  }
  FaultyStorage(const FaultyStorage&) = delete;
  FaultyStorage& operator=(const FaultyStorage&) = delete;
  ~FaultyStorage() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(real_, 1);
  }

  /// Lets `count` more writes pass; all later ones find the disk full.
  static void fill_disk_after(int count) { writes_left_ = count; }
  static void fail_syncs() { syncs_fail_ = true; }
  static void repair() {
    writes_left_ = std::numeric_limits<int>::max();
    syncs_fail_ = false;
    syncs_tried_ = 0;
  }
  static int syncs_tried() { return syncs_tried_; }

 private:
  using Methods = sqlite3_io_methods;

  static int open(sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
    const int rc = real_->xOpen(vfs, name, file, flags, out);
    if (rc != SQLITE_OK || file->pMethods == nullptr) return rc;
    // One set of methods for the database, another one without locks for its log; writing and syncing are the same in both.
    Methods& methods = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? database_ : others_;
    if (methods.xWrite == nullptr) {
      methods = *file->pMethods;
      real_write_ = methods.xWrite;
      real_sync_ = methods.xSync;
      methods.xWrite = &write;
      methods.xSync = &sync;
    }
    file->pMethods = &methods;
    return rc;
  }
  static int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
    if (writes_left_.fetch_sub(1) <= 0) {
      writes_left_ = 0;
      return SQLITE_FULL;
    }
    return real_write_(file, data, size, offset);
  }
  static int sync(sqlite3_file* file, int flags) {
    ++syncs_tried_;
    if (syncs_fail_) return SQLITE_IOERR_FSYNC;
    return real_sync_(file, flags);
  }

  static inline sqlite3_vfs* real_ = nullptr;
  static inline sqlite3_vfs vfs_{};
  static inline Methods database_{};
  static inline Methods others_{};
  static inline int (*real_write_)(sqlite3_file*, const void*, int, sqlite3_int64) = nullptr;
  static inline int (*real_sync_)(sqlite3_file*, int) = nullptr;
  static inline std::atomic<int> writes_left_{0};
  static inline std::atomic<int> syncs_tried_{0};
  static inline std::atomic<bool> syncs_fail_{false};
};

}  // namespace retouchd::queue
