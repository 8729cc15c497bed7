#include "queue/sqlite_database.h"

#include <sqlite3.h>

#include <cerrno>

namespace retouchd::queue {
namespace {

[[noreturn]] void raise(sqlite3* connection) {
  throw SqliteError(sqlite3_extended_errcode(connection), sqlite3_system_errno(connection), sqlite3_errmsg(connection));
}

}  // namespace

bool SqliteError::is_disk_full() const noexcept {
  if (is_lasting()) return false;
  return (code_ & 0xff) == SQLITE_FULL || ((code_ & 0xff) == SQLITE_IOERR && (os_error_ == ENOSPC || os_error_ == EDQUOT));
}

bool SqliteError::is_storage_failure() const noexcept {
  switch (code_ & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_BUSY:
      return true;
    default:
      return false;
  }
}

bool SqliteError::is_lasting() const noexcept {
  return code_ == SQLITE_IOERR_FSYNC || code_ == SQLITE_IOERR_DIR_FSYNC || (code_ & 0xff) == SQLITE_CORRUPT ||
         (code_ & 0xff) == SQLITE_NOTADB;
}

Error error_from(const SqliteError& failure, const std::filesystem::path& file) {
  if (failure.is_disk_full()) return make_error(ErrorCode::kDiskFull, "no space left for the job store " + file.string());
  return make_error(ErrorCode::kStoreFailed, "the job store " + file.string() + " failed: " + failure.what());
}

Rows::~Rows() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Rows::next() {
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      raise(sqlite3_db_handle(statement_));
  }
}

bool Rows::is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

std::int64_t Rows::integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }

std::string Rows::text(int column) const {
  const auto* bytes = static_cast<const char*>(static_cast<const void*>(sqlite3_column_text(statement_, column)));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }

void Statement::bind_integer(int index, std::int64_t value) {
  if (sqlite3_bind_int64(statement_.get(), index, value) != SQLITE_OK) raise(sqlite3_db_handle(statement_.get()));
}

void Statement::bind_text(int index, std::string_view value) {
  // A null pointer would bind NULL. Paths need not be UTF-8: SQLite keeps the bytes as they are.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (sqlite3_bind_text64(statement_.get(), index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) != SQLITE_OK) {
    raise(sqlite3_db_handle(statement_.get()));
  }
}

void Statement::bind_null(int index) {
  if (sqlite3_bind_null(statement_.get(), index) != SQLITE_OK) raise(sqlite3_db_handle(statement_.get()));
}

int Statement::changes() const noexcept { return sqlite3_changes(sqlite3_db_handle(statement_.get())); }

void Database::Close::operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }

Database::Database(const std::filesystem::path& file, Role role) {
  // Each connection is used by one thread at a time, so SQLite's own mutexes are left out.
  sqlite3* opened = nullptr;
  const int rc =
      sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, nullptr);
  connection_.reset(opened);
  if (rc != SQLITE_OK) {
    if (opened == nullptr) throw SqliteError(rc, 0, sqlite3_errstr(rc));
    raise(opened);
  }
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, 5000);
  // Two connections that write or checkpoint at one instant can corrupt a WAL file before SQLite 3.51.3. So checkpoints happen
  // in checkpoint() only, where their errors are also seen (an automatic one swallows them).
  sqlite3_wal_autocheckpoint(opened, 0);
  execute("PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0");
  if (role == Role::kReader) {
    keep_log();
    execute("PRAGMA query_only=ON; PRAGMA cache_size=-2048");
    return;
  }
  // FULL: with NORMAL a power cut loses every commit since the last checkpoint.
  execute("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-8192");
  sqlite3_wal_hook(opened, &Database::note_log_pages, this);
}

void Database::execute(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) raise(connection_.get());
}

Statement Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int rc = sqlite3_prepare_v3(connection_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                    &statement, nullptr);
  if (rc != SQLITE_OK) raise(connection_.get());
  return Statement(statement);
}

std::int64_t Database::integer_of(std::string_view sql) {
  Statement statement = prepare(sql);
  Rows rows = statement.query();
  return rows.next() ? rows.integer(0) : 0;
}

std::string Database::text_of(std::string_view sql) {
  Statement statement = prepare(sql);
  Rows rows = statement.query();
  return rows.next() ? rows.text(0) : std::string();
}

void Database::checkpoint() {
  const int rc = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  if (rc != SQLITE_OK && rc != SQLITE_BUSY) raise(connection_.get());
}

void Database::keep_log() noexcept { sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

bool Database::in_transaction() const noexcept { return sqlite3_get_autocommit(connection_.get()) == 0; }

bool Database::is_read_only() const noexcept { return sqlite3_db_readonly(connection_.get(), "main") == 1; }

int Database::note_log_pages(void* self, sqlite3* /*connection*/, const char* /*name*/, int pages) {
  static_cast<Database*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

}  // namespace retouchd::queue
