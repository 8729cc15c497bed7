#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "queue/job.h"
#include "queue/sqlite_database.h"

namespace retouchd::queue {

/// The events that somebody outside is to be told of: written in the transaction of their event, kept until they were delivered
/// or given up, gone with their job.
///
/// A job's events are told in order: only its oldest one is due (`due` holds the moment), those after it wait (`due` is NULL)
/// until it has been forgotten. So what is due is a range of an index, however many wait behind a receiver that does not answer.
///
/// On the writing connection, inside the caller's transaction. Throws SqliteError. Confined to the thread of the connection.
class Notifications {
 public:
  /// `kinds`: of the events that are told.
  Notifications(Database& database, const std::vector<std::string>& kinds);

  /// Does nothing for other kinds.
  void add(const JobEvent& event);
  /// It was told, or given up; nothing happens when it is gone already. The next one of its job is due.
  Result<void> forget(const std::string& id);
  /// One more failed attempt; due again at `when`.
  Result<void> delay(const std::string& id, UnixMillis when);

 private:
  const std::set<std::string, std::less<>> kinds_;
  Statement insert_, delete_, promote_, delay_;
};

}  // namespace retouchd::queue
