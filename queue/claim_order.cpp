#include "queue/claim_order.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

namespace retouchd::queue {
namespace {

constexpr std::size_t kMostLevels = 1024;

const std::string kReady = "state='queued' AND not_before=0 AND crashes=0";

/// The same as `kSmallFile` in the schema's partial index, word for word: only then SQLite may use it.
const std::string kReadyAndSmall = kReady + " AND size<=" + std::to_string(kSmallFile.value);

/// The first text after `text`.
std::string after(std::string text) {
  text.push_back('\0');
  return text;
}

std::int64_t bound_of(std::uint64_t size) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(size, std::numeric_limits<std::int64_t>::max()));
}

std::string rank_query(const std::string& index, const std::string& ready) {
  return "SELECT priority, deadline FROM job INDEXED BY " + index + " WHERE " + ready +
         " AND size<=?1 ORDER BY priority DESC, deadline LIMIT 1";
}

std::string head_query(const std::string& index, const std::string& ready) {
  return "SELECT id, origin, size FROM job INDEXED BY " + index + " WHERE " + ready +
         " AND priority=?1 AND deadline=?2 AND origin>=?3 AND size<=?4 ORDER BY origin, id LIMIT 1";
}

ClaimOrder::Candidate read(const Rows& rows) {
  return {rows.integer(0), rows.text(1), static_cast<std::uint64_t>(rows.integer(2)), false};
}

}  // namespace

ClaimOrder::ClaimOrder(Database& database)
    : all_{database.prepare(rank_query("job_ready", kReady)), database.prepare(head_query("job_ready", kReady))},
      small_{database.prepare(rank_query("job_ready_small", kReadyAndSmall)),
             database.prepare(head_query("job_ready_small", kReadyAndSmall))},
      oldest_(database.prepare("SELECT id, origin, size FROM job INDEXED BY job_ready_oldest WHERE " + kReady +
                               " ORDER BY id LIMIT 1")),
      origin_(database.prepare("SELECT id, origin, size, priority, deadline FROM job INDEXED BY job_ready_origin WHERE " +
                               kReady + " AND origin>=?1 AND size<=?2 ORDER BY origin, priority DESC, deadline, id LIMIT 1")) {}

std::optional<ClaimOrder::Candidate> ClaimOrder::next(const ClaimRequest& request) {
  if (!request.leaves_out() && claims_since_oldest_ >= kAgedTurn - 1) return oldest();
  const Heads heads = request.not_from.empty() ? heads_of_best_rank(request.largest_file) : heads_of_other_origins(request);
  const auto best = std::min_element(heads.begin(), heads.end(), [this](const Candidate& a, const Candidate& b) {
    return std::tuple(level(a.origin), a.id) < std::tuple(level(b.origin), b.id);
  });
  if (best == heads.end()) return std::nullopt;
  return *best;
}

std::optional<ClaimOrder::Candidate> ClaimOrder::oldest() {
  Rows rows = oldest_.query();
  if (!rows.next()) return std::nullopt;
  Candidate candidate = read(rows);
  candidate.by_age = true;
  return candidate;
}

ClaimOrder::Heads ClaimOrder::heads_of_best_rank(std::uint64_t largest_file) {
  Index& index = largest_file <= kSmallFile.value ? small_ : all_;
  const std::int64_t most = bound_of(largest_file);
  std::int64_t priority = 0;
  std::int64_t deadline = 0;
  {
    Rows rows = index.rank.query(most);
    if (!rows.next()) return {};
    priority = rows.integer(0);
    deadline = rows.integer(1);
  }
  return gather([&](const std::string& origin) -> std::optional<Candidate> {
    Rows rows = index.head.query(priority, deadline, origin, most);
    if (!rows.next()) return std::nullopt;
    return read(rows);
  });
}

ClaimOrder::Heads ClaimOrder::heads_of_other_origins(const ClaimRequest& request) {
  std::map<JobId, std::pair<std::int64_t, std::int64_t>> ranks;
  Heads heads = gather([&](std::string origin) -> std::optional<Candidate> {
    while (true) {
      Rows rows = origin_.query(origin, bound_of(request.largest_file));
      if (!rows.next()) return std::nullopt;
      Candidate head = read(rows);
      const auto& left_out = request.not_from;
      if (std::find(left_out.begin(), left_out.end(), head.origin) == left_out.end()) {
        ranks[head.id] = {-rows.integer(3), rows.integer(4)};
        return head;
      }
      origin = after(head.origin);
    }
  });
  if (heads.empty()) return heads;
  auto best = ranks[heads.front().id];
  for (const Candidate& head : heads) best = std::min(best, ranks[head.id]);
  std::erase_if(heads, [&](const Candidate& head) { return ranks[head.id] != best; });
  return heads;
}

template <class Seek>
ClaimOrder::Heads ClaimOrder::gather(Seek seek) {
  Heads heads;
  std::string from = first_origin_;
  bool is_wrapped = from.empty();
  while (heads.size() < kMostOrigins) {
    auto head = seek(from);
    const bool is_seen = head && is_wrapped && !first_origin_.empty() && head->origin >= first_origin_;
    if (head && !is_seen) {
      from = after(head->origin);
      heads.push_back(std::move(*head));
    } else if (!is_wrapped) {
      is_wrapped = true;
      from.clear();
    } else {
      first_origin_.clear();
      return heads;
    }
  }
  first_origin_ = from;
  return heads;
}

std::uint64_t ClaimOrder::level(const std::string& origin) const {
  const auto found = levels_.find(origin);
  return found == levels_.end() ? level_ : std::max(level_, found->second);
}

void ClaimOrder::claimed(const Candidate& candidate) {
  claims_since_oldest_ = candidate.by_age ? 0 : claims_since_oldest_ + 1;
  const std::uint64_t began = level(candidate.origin);
  levels_[candidate.origin] = began + std::max(candidate.size, kLeastCost);
  if (!candidate.by_age) level_ = began;
  // Who is not ahead is no different from a newcomer.
  if (levels_.size() > kMostLevels) std::erase_if(levels_, [this](const auto& one) { return one.second <= level_; });
}

}  // namespace retouchd::queue
