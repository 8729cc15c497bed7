#include "queue/job_schema.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "queue/job_store.h"

namespace retouchd::queue {
namespace {

constexpr std::int64_t kApplicationId = 0x72746368;  // "rtch"
constexpr std::int64_t kSchemaVersion = 3;

/// Above this the check at opening would take seconds; `retouch doctor` and the operating guide run it on purpose.
constexpr Bytes kCheckedAtOpening = mebibytes(64);

// output_path is the place this job writes, or last tried to write; at most one job owns a place (job_output), the others that
// wrote there before are superseded. replaces_sha256 is our own older file that stands there until the rename.
//
// Small partial indexes keep claiming cheap with a million jobs waiting: a job leaves job_waiting for job_ready when its
// back-off has passed, so neither fresh jobs nor retries are scanned past.
constexpr const char* kJobTable = R"sql((
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  request_hash TEXT NOT NULL,
  origin TEXT NOT NULL,
  source TEXT NOT NULL,
  device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  spooled INTEGER NOT NULL,
  name TEXT NOT NULL,
  output TEXT NOT NULL,
  error_report TEXT NOT NULL,
  overwrite INTEGER NOT NULL,
  wants_preview INTEGER NOT NULL,
  network TEXT NOT NULL,
  priority INTEGER NOT NULL,
  policy TEXT NOT NULL DEFAULT 'local',
  skip_good INTEGER NOT NULL DEFAULT 0,
  preview_only INTEGER NOT NULL DEFAULT 0,
  deadline INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN('queued','running','publishing','done','failed','cancelled','escalated')),
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0,
  owner TEXT,
  claims INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  accepted_at INTEGER NOT NULL,
  not_before INTEGER NOT NULL DEFAULT 0,
  started_at INTEGER,
  finished_at INTEGER,
  preview_path TEXT,
  output_path TEXT,
  output_sha256 TEXT,
  output_size INTEGER,
  replaces_sha256 TEXT,
  temporary TEXT,
  superseded INTEGER NOT NULL DEFAULT 0,
  error_code TEXT, error_message TEXT, error_stage TEXT,
  decision TEXT,
  returned_path TEXT,
  details TEXT,
  CHECK((state IN('running','publishing')) = (owner IS NOT NULL))
) STRICT;
)sql";

constexpr const char* kJobIndexes = R"sql(
CREATE INDEX job_suspect ON job(crashes, priority DESC, id) WHERE state='queued' AND not_before=0 AND crashes>0;
CREATE INDEX job_waiting ON job(not_before) WHERE state='queued' AND not_before>0;
CREATE INDEX job_active ON job(crashes) WHERE state IN('running','publishing');
CREATE UNIQUE INDEX job_output ON job(output_path) WHERE output_path IS NOT NULL AND superseded=0;
CREATE INDEX job_state ON job(state, id);
CREATE INDEX job_finished ON job(finished_at) WHERE finished_at IS NOT NULL;
)sql";

constexpr const char* kOtherTables = R"sql(
CREATE TABLE event(
  job INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY(job, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE remembered(
  key TEXT PRIMARY KEY,
  job INTEGER NOT NULL,
  request_hash TEXT NOT NULL,
  state TEXT NOT NULL,
  finished_at INTEGER NOT NULL,
  output_path TEXT,
  output_sha256 TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX remembered_output ON remembered(output_path, job) WHERE output_path IS NOT NULL;
)sql";

// What claim_order.h looks at; the size in job_ready_small is kSmallFile.
constexpr const char* kReadyIndexes = R"sql(
CREATE INDEX job_ready ON job(priority DESC, deadline, origin, id)
  WHERE state='queued' AND not_before=0 AND crashes=0;
CREATE INDEX job_ready_small ON job(priority DESC, deadline, origin, id)
  WHERE state='queued' AND not_before=0 AND crashes=0 AND size<=1048576;
CREATE INDEX job_ready_origin ON job(origin, priority DESC, deadline, id)
  WHERE state='queued' AND not_before=0 AND crashes=0;
CREATE INDEX job_ready_oldest ON job(id) WHERE state='queued' AND not_before=0 AND crashes=0;
)sql";
static_assert(kSmallFile == Bytes{1048576});

// notifications.h says what `due` means.
constexpr const char* kNotifications = R"sql(
CREATE TABLE notification(
  id TEXT PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES job(id) ON DELETE CASCADE,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_due ON notification(due, id) WHERE due IS NOT NULL;
CREATE UNIQUE INDEX notification_job ON notification(job, seq);
)sql";

// Version 1 knew no deadlines: its jobs have none.
constexpr const char* kFromVersion1 = "ALTER TABLE job ADD COLUMN deadline INTEGER NOT NULL DEFAULT 9223372036854775807";
static_assert(kNever.time_since_epoch().count() == 9223372036854775807);

// Version 2 had no state 'escalated', and a CHECK cannot be altered: the jobs move to a new table. The numbers of forgotten jobs
// stay used. New columns get their defaults.
constexpr const char* kJobColumnsOfVersion2 =
    "id, key, request_hash, origin, source, device, inode, size, mtime_ns, spooled, name, output, error_report, overwrite, "
    "wants_preview, network, priority, deadline, state, cancel_requested, epoch, owner, claims, attempts, crashes, accepted_at, "
    "not_before, started_at, finished_at, preview_path, output_path, output_sha256, output_size, replaces_sha256, temporary, "
    "superseded, error_code, error_message, error_stage, details";
constexpr const char* kReplaceJobTable = R"sql(
DELETE FROM sqlite_sequence WHERE name='job_moved';
INSERT INTO sqlite_sequence(name, seq) SELECT 'job_moved', seq FROM sqlite_sequence WHERE name='job';
DROP TABLE job;
ALTER TABLE job_moved RENAME TO job;
)sql";

Error refusal(const std::filesystem::path& file, const std::string& reason) {
  return make_error(ErrorCode::kStoreFailed, "cannot use the job store " + file.string() + ": " + reason);
}

/// WAL needs memory shared between the connections, and locks that work.
bool is_network_file_system(const std::filesystem::path& directory) {
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) return false;
  switch (static_cast<unsigned long>(info.f_type) & 0xffffffffUL) {
    case 0x6969UL:      // NFS
    case 0xff534d42UL:  // CIFS
    case 0xfe534d42UL:  // SMB2
    case 0x517bUL:      // SMB
    case 0x5346414fUL:  // AFS
      return true;
    default:
      return false;
  }
}

void create_tables(Database& database) {
  database.execute("BEGIN IMMEDIATE");
  database.execute(std::string("CREATE TABLE job") + kJobTable);
  for (const char* sql : {kJobIndexes, kReadyIndexes, kOtherTables, kNotifications}) database.execute(sql);
  database.execute("PRAGMA application_id=" + std::to_string(kApplicationId));
  database.execute("PRAGMA user_version=" + std::to_string(kSchemaVersion));
  database.execute("COMMIT");
}

void migrate(Database& database, const std::filesystem::path& file, std::int64_t version) {
  spdlog::info("bringing the job store {} from schema {} to {}", file.string(), version, kSchemaVersion);
  // Dropping the old table must not take the events along. Has no effect inside a transaction.
  database.execute("PRAGMA foreign_keys=OFF");
  database.execute("BEGIN IMMEDIATE");
  if (version == 1) database.execute(kFromVersion1);
  const std::string columns = kJobColumnsOfVersion2;
  database.execute(std::string("CREATE TABLE job_moved") + kJobTable);
  database.execute("INSERT INTO job_moved(" + columns + ") SELECT " + columns + " FROM job ORDER BY id");
  for (const char* sql : {kReplaceJobTable, kJobIndexes, kReadyIndexes, kNotifications}) database.execute(sql);
  database.execute("PRAGMA user_version=" + std::to_string(kSchemaVersion));
  database.execute("COMMIT");
  database.execute("PRAGMA foreign_keys=ON");
}

/// Creates the tables or checks those that are there.
Result<void> prepare_schema(Database& database, const std::filesystem::path& file, Bytes size) {
  if (database.is_read_only()) return refusal(file, "it cannot be written; give the user that runs retouchd write access");
  const auto application = database.integer_of("PRAGMA application_id");
  const auto version = database.integer_of("PRAGMA user_version");
  const bool is_new = database.integer_of("SELECT count(*) FROM sqlite_schema") == 0 && application == 0 && version == 0;
  if (!is_new && application != kApplicationId) {
    return refusal(file, "it belongs to another program; name another state directory");
  }
  if (version > kSchemaVersion) {
    return refusal(file, "it was written by a newer retouchd (schema " + std::to_string(version) + ", this one knows " +
                             std::to_string(kSchemaVersion) + "); install that version again");
  }
  if (database.text_of("PRAGMA journal_mode=WAL") != "wal") {
    return refusal(file, "its file system does not support write-ahead logging; move the state directory to a local disk");
  }
  if (is_new) {
    create_tables(database);
  } else if (size < kCheckedAtOpening) {
    const std::string verdict = database.text_of("PRAGMA quick_check(1)");
    if (verdict != "ok")
      return refusal(file, "it is damaged (" + verdict + "); restore a backup, or move it away to start empty");
  }
  if (!is_new && version < kSchemaVersion) migrate(database, file, version);
  return {};
}

}  // namespace

Result<std::unique_ptr<Database>> open_job_database(const std::filesystem::path& file) {
  if (is_network_file_system(file.parent_path())) {
    return refusal(file, "it is on a network file system; move the state directory to a local disk");
  }
  {
    // Made here so that nobody else can read it, not even for a moment; SQLite gives the log the same mode.
    const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) {
      if (errno == ENOSPC || errno == EDQUOT)
        return error_from_errno(errno, "cannot create the job store " + file.string(), false);
      return refusal(file, std::strerror(errno));
    }
  }
  std::error_code ignored;
  const auto size = std::filesystem::file_size(file, ignored);
  try {
    auto database = std::make_unique<Database>(file, Database::Role::kWriter);
    if (auto ready = prepare_schema(*database, file, Bytes{ignored ? 0 : size}); !ready) return ready.error();
    if (auto synced = sync_directory(file.parent_path()); !synced) return refusal(file, synced.error().message);
    return database;
  } catch (const SqliteError& failure) {
    if (failure.is_disk_full()) return error_from(failure, file);
    return refusal(
        file, std::string(failure.what()) + (failure.is_lasting() ? "; restore a backup, or move it away to start empty" : ""));
  }
}

}  // namespace retouchd::queue
