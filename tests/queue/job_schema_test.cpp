// A store that an older retouchd wrote is brought up to date without losing anything.

#include "queue/job_schema.h"

#include <gmock/gmock.h>

#include "faulty_storage.h"
#include "store_fixture.h"

namespace retouchd::queue {
namespace {

using std::chrono::minutes;

/// The tables as version 2 made them.
constexpr const char* kVersion2 = R"sql(
CREATE TABLE job(
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
  deadline INTEGER NOT NULL,
  state TEXT NOT NULL CHECK(state IN('queued','running','publishing','done','failed','cancelled')),
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
  details TEXT,
  CHECK((state IN('running','publishing')) = (owner IS NOT NULL))
) STRICT;
CREATE INDEX job_suspect ON job(crashes, priority DESC, id) WHERE state='queued' AND not_before=0 AND crashes>0;
CREATE INDEX job_waiting ON job(not_before) WHERE state='queued' AND not_before>0;
CREATE INDEX job_active ON job(crashes) WHERE state IN('running','publishing');
CREATE UNIQUE INDEX job_output ON job(output_path) WHERE output_path IS NOT NULL AND superseded=0;
CREATE INDEX job_state ON job(state, id);
CREATE INDEX job_finished ON job(finished_at) WHERE finished_at IS NOT NULL;

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

CREATE INDEX job_ready ON job(priority DESC, deadline, origin, id)
  WHERE state='queued' AND not_before=0 AND crashes=0;
CREATE INDEX job_ready_small ON job(priority DESC, deadline, origin, id)
  WHERE state='queued' AND not_before=0 AND crashes=0 AND size<=1048576;
CREATE INDEX job_ready_origin ON job(origin, priority DESC, deadline, id)
  WHERE state='queued' AND not_before=0 AND crashes=0;
CREATE INDEX job_ready_oldest ON job(id) WHERE state='queued' AND not_before=0 AND crashes=0;
PRAGMA application_id=1920230248;
PRAGMA user_version=2;
)sql";

/// What version 1 did not have.
constexpr const char* kBackToVersion1 = R"sql(
DROP INDEX job_ready;
DROP INDEX job_ready_small;
DROP INDEX job_ready_origin;
DROP INDEX job_ready_oldest;
ALTER TABLE job DROP COLUMN deadline;
CREATE INDEX job_ready ON job(priority DESC, id) WHERE state='queued' AND not_before=0 AND crashes=0;
PRAGMA user_version=1;
)sql";

class JobSchemaTest : public StoreTest {
 protected:
  void SetUp() override {
    open();  // makes the file, with its mode
    store_.reset();
    std::filesystem::remove(file_);
    write_text(file_, "");
    Database database(file_, Database::Role::kWriter);
    database.execute("PRAGMA journal_mode=WAL");
    database.execute(kVersion2);
  }

  /// As the accept() of version 2.
  static void insert(Database& database, JobId id, const JobRequest& wanted, const std::string& hash, const std::string& state) {
    Statement job = database.prepare(
        "INSERT INTO job(id, key, request_hash, origin, source, device, inode, size, mtime_ns, spooled, name, output, "
        "error_report, overwrite, wants_preview, network, priority, deadline, state, owner, epoch, accepted_at) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,0,?10,?11,'',0,1,?12,?13,?14,?15,?16,7,1700000000000)");
    const bool owned = state == "running" || state == "publishing";
    job.run(id, wanted.key, hash, wanted.origin, wanted.source, wanted.identity.device, wanted.identity.inode,
            wanted.identity.size, wanted.identity.mtime_ns, wanted.name, wanted.output, wanted.network, wanted.priority,
            wanted.deadline, state, owned ? std::optional<std::string>("boot-0") : std::nullopt);
    Statement event = database.prepare("INSERT INTO event(job, seq, at, kind, body) VALUES(?1,?2,1700000000000,?3,'{}')");
    event.run(id, 1, "accepted");
    event.run(id, 2, "started");
  }
  static std::vector<std::string> names_in_schema(Database& database, const std::string& type) {
    std::vector<std::string> names;
    Statement statement = database.prepare("SELECT name FROM sqlite_schema WHERE type=?1 AND sql IS NOT NULL ORDER BY name");
    Rows rows = statement.query(type);
    while (rows.next()) names.push_back(rows.text(0));
    return names;
  }
};

TEST_F(JobSchemaTest, AStoreOfVersionTwoKeepsItsJobsAndTheirEvents) {
  {
    Database database(file_, Database::Role::kWriter);
    JobRequest urgent = request("urgent");
    urgent.priority = 5;
    urgent.deadline = clock_.now() + minutes(3);
    insert(database, 3, urgent, "hash", "queued");
    insert(database, 4, request("running"), "hash", "running");
    insert(database, 5, request("failed"), "hash", "failed");
    insert(database, 9, request("forgotten"), "hash", "done");
    database.execute(
        "UPDATE job SET error_code='corrupt_picture', error_message='bad', error_stage='decode', finished_at=1700000000001, "
        "attempts=2, claims=3, preview_path='/p/a.jpg' WHERE id=5");
    database.execute("DELETE FROM job WHERE id=9");
    database.execute("INSERT INTO remembered VALUES('old', 2, 'hash', 'done', 1, '/out/old.jpg', 'abc')");
  }
  open();
  const Job urgent = job(3);
  EXPECT_EQ(urgent.request.key, "urgent");
  EXPECT_EQ(urgent.request.source, request("urgent").source);
  EXPECT_EQ(urgent.request.identity, request("urgent").identity);
  EXPECT_EQ(urgent.request.priority, 5);
  EXPECT_EQ(urgent.request.deadline, clock_.now() + minutes(3));
  EXPECT_EQ(urgent.request.policy, "local");
  EXPECT_FALSE(urgent.request.skip_good);
  EXPECT_FALSE(urgent.request.preview_only);
  EXPECT_EQ(urgent.decision, "");
  EXPECT_EQ(urgent.returned, "");
  EXPECT_EQ(urgent.epoch, 7);
  EXPECT_EQ(events_of(3), "accepted started");

  EXPECT_EQ(job(4).state, JobState::kQueued);
  EXPECT_EQ(job(4).crashes, 1);
  EXPECT_EQ(events_of(4), "accepted started retrying");

  const Job failed = job(5);
  EXPECT_EQ(failed.state, JobState::kFailed);
  EXPECT_EQ(failed.error->message, "bad");
  EXPECT_EQ(failed.error->stage, "decode");
  EXPECT_EQ(failed.attempts, 2);
  EXPECT_EQ(failed.claims, 3);
  EXPECT_EQ(failed.preview, "/p/a.jpg");

  EXPECT_TRUE(store_->find_by_key("old")->has_value());
  // Events go with their job, also right after the migration.
  ASSERT_EQ(*store_->forget(UnixMillis{}, clock_.now()), 1);
  EXPECT_FALSE(store_->events(5));
  EXPECT_EQ(accept("new"), 10);  // the number of a forgotten job is not used again
  EXPECT_EQ(claim_one().id, 3);
}

TEST_F(JobSchemaTest, AStoreOfTheFirstVersionIsBroughtUpToDate) {
  {
    Database database(file_, Database::Role::kWriter);
    JobRequest wanted = request("a");
    wanted.priority = 4;
    insert(database, 1, wanted, "hash", "queued");
    database.execute(kBackToVersion1);
  }
  open();
  JobRequest wanted = request("b");
  wanted.priority = 5;
  wanted.deadline = clock_.now() + minutes(1);
  accept(wanted);
  const auto jobs = claim(9);
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].request.key, "b");
  EXPECT_EQ(jobs[1].request.key, "a");
  EXPECT_EQ(jobs[1].request.deadline, kNever);
}

TEST_F(JobSchemaTest, AStoreBroughtUpToDateHasTheTablesOfANewOne) {
  {
    Database database(file_, Database::Role::kWriter);
    insert(database, 1, request("a"), "hash", "queued");
  }
  open();
  store_.reset();
  const auto fresh_file = folder_.path() / "fresh.sqlite";
  ASSERT_TRUE(open_job_database(fresh_file));
  Database migrated(file_, Database::Role::kWriter);
  Database fresh(fresh_file, Database::Role::kWriter);
  EXPECT_EQ(names_in_schema(migrated, "table"), names_in_schema(fresh, "table"));
  EXPECT_EQ(names_in_schema(migrated, "index"), names_in_schema(fresh, "index"));
  const char* columns = "SELECT group_concat(name) FROM pragma_table_info('job')";
  EXPECT_EQ(migrated.text_of(columns), fresh.text_of(columns));
  EXPECT_EQ(migrated.integer_of("PRAGMA user_version"), 3);
  EXPECT_EQ(migrated.text_of("PRAGMA integrity_check"), "ok");
  EXPECT_EQ(migrated.text_of("PRAGMA foreign_key_check"), "");
  migrated.execute("DELETE FROM job WHERE id=1");
  EXPECT_EQ(migrated.integer_of("SELECT count(*) FROM event"), 0);  // events still go with their job
}

TEST_F(JobSchemaTest, AStoreWithoutJobsKeepsTheNumbersItUsed) {
  {
    Database database(file_, Database::Role::kWriter);
    insert(database, 41, request("a"), "hash", "done");
    database.execute("DELETE FROM job");
  }
  open();
  EXPECT_EQ(accept("new"), 42);
}

TEST_F(JobSchemaTest, AMigrationThatDidNotEndIsDoneAgain) {
  {
    Database database(file_, Database::Role::kWriter);
    for (JobId id = 1; id <= 200; ++id) insert(database, id, request("job" + std::to_string(id)), "hash", "queued");
  }
  const FaultyStorage storage;
  bool is_open = false;
  int refused = 0;
  for (int writes = 0; !is_open; writes += 7) {
    FaultyStorage::fill_disk_after(writes);
    if (const auto opened = try_open()) {
      is_open = true;
    } else {
      ++refused;
      EXPECT_EQ(opened.error().code, ErrorCode::kDiskFull) << opened.error().message;
    }
    FaultyStorage::repair();
  }
  EXPECT_GT(refused, 3);
  open();
  EXPECT_EQ(count(JobState::kQueued), 200);
  EXPECT_EQ(events_of(200), "accepted started");
  EXPECT_EQ(claim_one().request.key, "job1");
}

TEST_F(JobSchemaTest, AKeyOfAnOlderStoreFindsItsJob) {
  // As version 2 made it of this request, before requests had a policy.
  const JobRequest wanted = request("a");
  std::string all;
  for (const std::string& field :
       {wanted.name, wanted.output.native(), wanted.network, std::string("0"), std::string(), std::string("preview"),
        std::string("3"), wanted.source.native(), std::string("2"), std::string("4")}) {
    all += std::to_string(field.size()) + ':' + field + ';';
  }
  {
    Database database(file_, Database::Role::kWriter);
    insert(database, 1, wanted, sha256_hex(bytes_of(all)), "done");
  }
  open();
  const auto again = store_->accept_and_wait(wanted);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->id, 1);
}

TEST_F(JobSchemaTest, AnEscalatedJobHasNoOwner) {
  open();
  accept("a");
  store_.reset();
  Database database(file_, Database::Role::kWriter);
  EXPECT_THROW(database.execute("UPDATE job SET state='escalated', owner='boot-1'"), SqliteError);
  EXPECT_THROW(database.execute("UPDATE job SET state='running'"), SqliteError);
  EXPECT_THROW(database.execute("UPDATE job SET state='elsewhere'"), SqliteError);
  EXPECT_NO_THROW(database.execute("UPDATE job SET state='escalated'"));
}

}  // namespace
}  // namespace retouchd::queue
