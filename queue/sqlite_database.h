#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/clock.h"
#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace retouchd::queue {

/// What SQLite refused. Thrown inside the store's own files only: a failed statement has to undo a whole group of calls, and
/// the store's boundary turns it into an Error.
class SqliteError : public std::runtime_error {
 public:
  SqliteError(int code, int os_error, const std::string& message)
      : std::runtime_error(message), code_(code), os_error_(os_error) {}

  /// No space or quota left: the same call can succeed later.
  [[nodiscard]] bool is_disk_full() const noexcept;
  /// The disk or the file itself failed: other calls of the same group would fail as well.
  [[nodiscard]] bool is_storage_failure() const noexcept;
  /// A failed fsync or a damaged file: nothing this process writes from now on can be trusted to last.
  [[nodiscard]] bool is_lasting() const noexcept;

 private:
  int code_;  ///< extended result code
  int os_error_;
};

/// kDiskFull or kStoreFailed, naming `file` and the reason.
[[nodiscard]] Error error_from(const SqliteError& failure, const std::filesystem::path& file);

/// The rows of one execution. Resets its statement when it goes, so that no read transaction stays open.
class Rows {
 public:
  explicit Rows(sqlite3_stmt* statement) noexcept : statement_(statement) {}
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;
  ~Rows();

  /// Steps to the next row; false after the last.
  bool next();

  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  [[nodiscard]] std::string text(int column) const;  ///< empty for NULL

 private:
  sqlite3_stmt* statement_;
};

/// A prepared statement; confined to the thread that uses its connection.
class Statement {
 public:
  /// Starts it with `args` for ?1, ?2, ...: integers, text, paths, times; an empty optional is NULL.
  template <class... Args>
  [[nodiscard]] Rows query(const Args&... args) {
    int index = 0;
    (bind(++index, args), ...);
    return Rows(statement_.get());
  }

  /// Runs it to its end; the number of rows it changed.
  template <class... Args>
  int run(const Args&... args) {
    Rows rows = query(args...);
    while (rows.next()) {
    }
    return changes();
  }

 private:
  friend class Database;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  template <class T>
  void bind(int index, const T& value) {
    if constexpr (std::is_same_v<T, bool> || std::integral<T>) {
      bind_integer(index, static_cast<std::int64_t>(value));
    } else if constexpr (std::is_same_v<T, UnixMillis>) {
      bind_integer(index, value.time_since_epoch().count());
    } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
      bind_text(index, value.native());
    } else if constexpr (requires { value.has_value(); }) {
      value.has_value() ? bind(index, *value) : bind_null(index);
    } else {
      bind_text(index, std::string_view(value));
    }
  }
  void bind_integer(int index, std::int64_t value);
  void bind_text(int index, std::string_view value);
  void bind_null(int index);
  [[nodiscard]] int changes() const noexcept;

  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// One connection to the store's file. Confined to one thread at a time.
class Database {
 public:
  enum class Role {
    kWriter,  ///< the only one that writes and checkpoints
    kReader,  ///< never writes, never checkpoints (also not on closing)
  };

  /// Opens an existing file and sets the pragmas of its role. Throws SqliteError.
  Database(const std::filesystem::path& file, Role role);

  void execute(const std::string& sql);
  [[nodiscard]] Statement prepare(std::string_view sql);
  /// The first column of the first row, as a number or as text.
  [[nodiscard]] std::int64_t integer_of(std::string_view sql);
  [[nodiscard]] std::string text_of(std::string_view sql);

  /// Copies what the log holds into the file, as far as readers allow. Writer only.
  void checkpoint();
  /// Closing will leave the log as it is, for the next process to replay.
  void keep_log() noexcept;
  /// Pages in the log after the last commit.
  [[nodiscard]] int log_pages() const noexcept { return log_pages_; }
  [[nodiscard]] bool in_transaction() const noexcept;
  [[nodiscard]] bool is_read_only() const noexcept;

 private:
  static int note_log_pages(void* self, sqlite3* connection, const char* name, int pages);

  struct Close {
    void operator()(sqlite3* connection) const noexcept;
  };
  std::unique_ptr<sqlite3, Close> connection_;
  int log_pages_ = 0;

 public:
  Database(const Database&) = delete;  // the log hook holds its address
  Database& operator=(const Database&) = delete;
};

}  // namespace retouchd::queue
