#include "queue/notifications.h"

#include "base/ulid.h"

namespace retouchd::queue {

Notifications::Notifications(Database& database, const std::vector<std::string>& kinds)
    : kinds_(kinds.begin(), kinds.end()),
      insert_(database.prepare("INSERT INTO notification(id, job, seq, kind, at, body, due) SELECT ?1, ?2, ?3, ?4, ?5, ?6, "
                               "iif(EXISTS(SELECT 1 FROM notification WHERE job=?2), NULL, ?5)")),
      delete_(database.prepare("DELETE FROM notification WHERE id=?1 RETURNING job")),
      promote_(database.prepare("UPDATE notification SET due=coalesce(due, at) WHERE job=?1 AND "
                                "seq=(SELECT min(seq) FROM notification WHERE job=?1)")),
      delay_(database.prepare("UPDATE notification SET attempts=attempts+1, due=?2 WHERE id=?1 AND due IS NOT NULL")) {}

void Notifications::add(const JobEvent& event) {
  if (!kinds_.contains(event.kind)) return;
  insert_.run(new_ulid(event.at), event.job, event.seq, event.kind, event.at, event.body);
}

Result<void> Notifications::forget(const std::string& id) {
  JobId job = 0;
  {
    Rows rows = delete_.query(id);
    if (!rows.next()) return {};
    job = rows.integer(0);
  }
  promote_.run(job);
  return {};
}

Result<void> Notifications::delay(const std::string& id, UnixMillis when) {
  delay_.run(id, when);
  return {};
}

}  // namespace retouchd::queue
