#include "intake/folder_watch_engine.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/picture_suffixes.h"
#include "intake/ignore_rules.h"
#include "intake/job_ending.h"

namespace retouchd::intake {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Evidence = SettleTracker::Evidence;

constexpr int kSlice = 256;  // files looked at before others get their turn
constexpr milliseconds kFirstRetry{1'000};
constexpr milliseconds kLastRetry{10'000};
constexpr int kRestPerScan = 10;   // polling a large tree takes at most a tenth of the time
constexpr int kPairPatience = 12;  // times settle_unseen: a minute by default (docs/operating.md)

std::vector<std::filesystem::path> excluded_folders(const config::Watch& watch, std::vector<std::filesystem::path> others) {
  others.push_back(watch.output);
  others.push_back(watch.move_to);
  return others;
}

}  // namespace

FolderWatchEngine::FolderWatchEngine(asio::io_context& io, queue::JobStore& store, const Clock& clock, config::Watch watch,
                                     FolderWatchOptions options)
    : watch_(std::move(watch)),
      options_(std::move(options)),
      clock_(clock),
      store_(store),
      strand_(asio::make_strand(io)),
      inbox_(std::make_shared<Inbox>(strand_)),
      root_timer_(strand_),
      rescan_timer_(strand_),
      due_timer_(strand_),
      root_(watch_.path),
      filter_(watch_.path, excluded_folders(watch_, options_.excluded)),
      tracker_({watch_.settle, watch_.settle_unseen}, options_.max_pending, clock),
      pairing_(watch_.network.empty() ? options_.network : watch_.network, options_.companion_of),
      pairs_(kPairPatience * watch_.settle_unseen, options_.max_pending, clock) {
  status_.name = watch_.name;
  if (watch_.network.empty()) watch_.network = options_.network;
}

void FolderWatchEngine::stop() {
  if (stopped_.exchange(true)) return;
  asio::post(strand_, [self = shared_from_this()] { self->shut_down(); });
  inbox_->shut();
}

void FolderWatchEngine::start() {
  visitor_.enter = [this](const std::string& folder) { return enter_folder(folder); };
  visitor_.file = [this](const std::string& folder, const std::string& name, int fd) { scanned_file(folder, name, fd); };
  submitter_ = std::make_shared<JobSubmitter>(store_, inbox_, clock_, watch_.name, options_.max_accepts,
                                              [this](const JobSubmitter::Answer& answer) { answered(answer); });
  check_root();
}

void FolderWatchEngine::rescan() {
  if (!up_) return;
  tracker_.doubt_open_files();
  want_full_scan();
}

// --- the watched folder itself

void FolderWatchEngine::check_root() {
  const WatchRoot::Look look = root_.look();
  if (look.state == WatchRoot::State::kAway) {
    if (up_ || retry_ == milliseconds::zero()) spdlog::warn("watch {}: waiting for the folder, {}", watch_.name, look.reason);
    detach();
    retry_ = std::clamp(2 * retry_, kFirstRetry, kLastRetry);
  } else {
    if (look.state == WatchRoot::State::kReplaced || !up_) attach();
    retry_ = milliseconds::zero();
  }
  publish_status();
  wait(root_timer_, up_ ? watch_.settle_unseen : retry_, &FolderWatchEngine::check_root);
}

void FolderWatchEngine::attach() {
  detach();
  up_ = true;
  polling_ = options_.needs_polling(watch_.path);
  auto inotify = Inotify::open(watch_.path);
  if (inotify) {
    inotify_.emplace(std::move(*inotify));
    // asio closes what it is given, and so does Inotify: each gets its own descriptor.
    descriptor_.emplace(strand_, ::dup(inotify_->fd()));
    await_events();
    spdlog::info("watch {}: watching {}{}", watch_.name, watch_.path.string(),
                 polling_ ? " (polling: its file system does not notify of all changes)" : "");
  } else {
    poll_instead(inotify.error());
  }
  want_full_scan();
}

void FolderWatchEngine::detach() {
  up_ = false;
  close_inotify();
  rescan_timer_.cancel();
  scan_.reset();
  plan_.clear();
  tracker_.clear();
  pairs_.clear();
}

void FolderWatchEngine::close_inotify() {
  descriptor_.reset();
  inotify_.reset();
}

void FolderWatchEngine::poll_instead(const Error& reason) {
  spdlog::warn("watch {}: polling, {}", watch_.name, reason.message);
  polling_ = true;
  close_inotify();
}

void FolderWatchEngine::shut_down() {
  if (submitter_) submitter_->abandon();
  detach();
  root_timer_.cancel();
  due_timer_.cancel();
  publish_status();
}

// --- notifications

void FolderWatchEngine::await_events() {
  descriptor_->async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](boost::system::error_code error) {
                            if (error || self->stopped_ || !self->inotify_) return;
                            self->read_events();
                          });
}

void FolderWatchEngine::read_events() {
  auto events = inotify_->read();
  if (!events) {
    poll_instead(events.error());
    want_full_scan();
    return;
  }
  bool root_lost = false;
  for (const Inotify::Event& event : *events) {
    if (!inotify_) break;
    if (event.kind == Inotify::Event::Kind::kRootLost) root_lost = true;
    take_event(event);
  }
  if (root_lost) {
    detach();
    check_root();
  }
  publish_status();
  arm_due_timer();
  if (inotify_ && !root_lost) await_events();
}

void FolderWatchEngine::take_event(const Inotify::Event& event) {
  using Kind = Inotify::Event::Kind;
  switch (event.kind) {
    case Kind::kFileClosed:
      return seen_file(event.path, Evidence::kClosed);
    case Kind::kFileCreated:
      return seen_file(event.path, Evidence::kOpen);
    case Kind::kFileTouched:
      return seen_file(event.path, Evidence::kFound);
    case Kind::kFolderCreated:
      if (watch_.recursive) want_scan_of(event.path);
      return;
    case Kind::kFolderMovedAway:
      return inotify_->unwatch(event.path);
    case Kind::kOverflow:
      spdlog::info("watch {}: notifications were lost, scanning the folder", watch_.name);
      return rescan();
    case Kind::kRootLost:
      return;
  }
}

void FolderWatchEngine::seen_file(const std::string& path, Evidence evidence) {
  if (path == IgnoreRules::kFileName) return want_full_scan();
  if (!filter_.reaches_file(path)) {
    ++ignored_;
    return;
  }
  const auto snapshot = snapshot_beneath(watch_.path, path, false);
  if (snapshot) track(path, *snapshot, evidence);  // else gone again, or no regular file
}

void FolderWatchEngine::track(const std::string& path, const FileSnapshot& snapshot, Evidence evidence) {
  // A full tracker makes a scan find the file later.
  if (!tracker_.observe(path, snapshot, evidence)) plan_.add_all();
}

// --- scanning

void FolderWatchEngine::want_scan_of(const std::string& folder) {
  folder.empty() ? plan_.add_all() : plan_.add(folder);
  post_scan();
}

void FolderWatchEngine::post_scan() {
  if (scan_posted_) return;
  scan_posted_ = true;
  asio::post(strand_, [self = shared_from_this()] {
    self->scan_posted_ = false;
    if (!self->stopped_ && self->up_) self->scan();
  });
}

bool FolderWatchEngine::begin_next_scan() {
  const auto folder = plan_.take();
  if (!folder) return false;
  if (folder->empty()) {
    ignored_in_scan_ = 0;
    if (auto read = filter_.refresh(); !read) spdlog::warn("watch {}: {}", watch_.name, read.error().message);
  }
  scan_time_ = scan_time_.zero();
  scan_.emplace(watch_.path, *folder, watch_.recursive, visitor_);
  return true;
}

void FolderWatchEngine::scan() {
  if (!scan_ && !begin_next_scan()) return;
  const auto begun = clock_.steady_now();
  bool more = true;
  for (int i = 0; more && i < kSlice && !is_full(); ++i) more = scan_->step(1);
  scan_time_ += clock_.steady_now() - begun;
  if (!more) end_scan();
  publish_status();
  arm_due_timer();
  continue_scans();
}

void FolderWatchEngine::continue_scans() {
  // A full tracker holds scans up until files have become jobs.
  if (up_ && !is_full() && (scan_ || !plan_.empty())) post_scan();
}

void FolderWatchEngine::end_scan() {
  const bool whole = scan_->whole();
  scan_.reset();
  if (!whole) return;
  ignored_ = ignored_in_scan_;
  const auto rest = std::chrono::ceil<milliseconds>(kRestPerScan * scan_time_);
  wait(rescan_timer_, polling_ ? std::max(watch_.settle_unseen, rest) : milliseconds(watch_.rescan),
       &FolderWatchEngine::want_full_scan);
}

bool FolderWatchEngine::enter_folder(const std::string& folder) {
  if (!folder.empty() && !filter_.wants_folder(folder)) return false;
  if (!inotify_) return true;
  const auto watched = inotify_->watch(folder);
  if (!watched && watched.error().code == ErrorCode::kBusy) poll_instead(watched.error());
  return true;
}

void FolderWatchEngine::scanned_file(const std::string& folder, const std::string& name, int folder_fd) {
  const std::string path = join_path(folder, name);
  if (!filter_.wants_file(path)) {
    ++ignored_in_scan_;
    return;
  }
  if (pairing_.is_companion(path)) return;  // its picture asks for it
  const auto snapshot = snapshot_in(folder_fd, name, false);
  if (!snapshot) return;
  const std::string companion = pairing_.companion_of(path);
  std::optional<FileSnapshot> second;
  if (!companion.empty()) {
    if (auto there = snapshot_in(folder_fd, std::string(split_path(companion).name), false)) second = *there;
  }
  const auto found = submitter_->look_up(watch_key(watch_.name, path, snapshot->identity, second ? &second->identity : nullptr));
  if (found.standing != JobSubmitter::Standing::kKnown) {
    if (!pairs_.is_waiting(path, *snapshot)) track(path, *snapshot, Evidence::kFound);
    if (second && !pairs_.is_complete(companion, *second)) track(companion, *second, Evidence::kFound);
    return;
  }
  if (!found.job) return;
  if (auto done = make_up_for(watch_, *found.job, clock_.now()); !done) {
    spdlog::warn("watch {}: {}", watch_.name, done.error().message);
  }
}

// --- complete files

void FolderWatchEngine::check_due() {
  for (int i = 0; i < kSlice && submitter_->ready(); ++i) {
    const auto path = tracker_.due();
    if (!path) break;
    const auto snapshot = snapshot_beneath(watch_.path, *path, polling_);
    if (!snapshot) {
      tracker_.forget(*path);
      continue;
    }
    const SettleTracker::Verdict verdict = tracker_.confirm(*path, *snapshot);
    if (verdict.overdue) spdlog::warn("watch {}: {} has been changing for more than 10 minutes", watch_.name, *path);
    if (!verdict.complete) continue;
    pairing_.is_companion(*path) ? companion_complete(*path, *snapshot) : picture_complete(*path, *snapshot, true);
  }
  end_long_waits();
  publish_status();
  arm_due_timer();
  continue_scans();
}

void FolderWatchEngine::companion_complete(const std::string& path, const FileSnapshot& snapshot) {
  pairs_.remember_complete(path, snapshot);
  for (const std::string& picture : pairing_.pictures_of(path)) {
    if (!filter_.reaches_file(picture)) continue;
    const auto first = snapshot_beneath(watch_.path, picture, polling_);
    if (!first) continue;
    if (pairs_.release(picture, *first)) {
      submit(picture, *first, &snapshot.identity);
    } else {
      track(picture, *first, Evidence::kFound);  // not complete yet, or restored with another version or without
    }
  }
}

void FolderWatchEngine::picture_complete(const std::string& path, const FileSnapshot& snapshot, bool may_wait) {
  const std::string companion = pairing_.companion_of(path);
  if (companion.empty()) return submit(path, snapshot, nullptr);
  const auto second = snapshot_beneath(watch_.path, companion, polling_);
  if (second && pairs_.is_complete(companion, *second)) return submit(path, snapshot, &second->identity);
  if (!second && !may_wait) return submit(path, snapshot, nullptr);
  if (second) track(companion, *second, Evidence::kFound);
  if (!pairs_.wait(path, snapshot)) plan_.add_all();
}

void FolderWatchEngine::end_long_waits() {
  for (int i = 0; i < kSlice && submitter_->ready(); ++i) {
    const auto waited = pairs_.take_overdue();
    if (!waited) break;
    const auto snapshot = snapshot_beneath(watch_.path, waited->picture, polling_);
    if (!snapshot) continue;
    if (*snapshot == waited->snapshot) {
      picture_complete(waited->picture, *snapshot, false);
    } else {
      track(waited->picture, *snapshot, Evidence::kFound);
    }
  }
}

void FolderWatchEngine::submit(const std::string& path, const FileSnapshot& snapshot, const FileIdentity* companion) {
  queue::JobRequest request;
  request.key = watch_key(watch_.name, path, snapshot.identity, companion);
  const auto standing = submitter_->look_up(request.key).standing;
  if (standing == JobSubmitter::Standing::kKnown) return;
  if (standing == JobSubmitter::Standing::kUnclear) {
    (void)tracker_.observe(path, snapshot, Evidence::kFound);
    return;
  }
  request.origin = "watch:" + watch_.name;
  request.source = watch_.path / path;
  request.identity = snapshot.identity;
  request.name = path;
  request.output = watch_.output / path;
  if (!options_.suffix.empty()) request.output = with_suffix(request.output, options_.suffix, request.source, Renamed::kAll);
  request.error_report = watch_.output / (path + ".error.txt");
  request.preview = options_.preview;
  request.network = watch_.network;
  request.priority = watch_.priority;
  if (!watch_.policy.empty()) request.policy = watch_.policy;
  request.skip_good = watch_.skip_good == config::Watch::SkipGood::kYes;
  submitter_->submit(std::move(request));
}

void FolderWatchEngine::answered(const JobSubmitter::Answer& answer) {
  if (answer.again && up_) {
    const auto snapshot = snapshot_beneath(watch_.path, answer.name, false);
    if (snapshot) track(answer.name, *snapshot, Evidence::kFound);
  }
  publish_status();
  arm_due_timer();
}

void FolderWatchEngine::arm_due_timer() {
  auto next = tracker_.next_due();
  if (const auto waits = pairs_.next_due(); waits && (!next || *waits < *next)) next = waits;
  if (!next || submitter_->outstanding() >= options_.max_accepts) return;  // an answer arms it again
  if (const auto held = submitter_->held_until()) next = std::max(*next, *held);
  const auto left = std::chrono::ceil<milliseconds>(*next - clock_.steady_now());
  wait(due_timer_, std::max(left, milliseconds::zero()), &FolderWatchEngine::check_due);
}

// --- small things

void FolderWatchEngine::wait(asio::steady_timer& timer, milliseconds time, void (FolderWatchEngine::*then)()) {
  timer.expires_after(time);
  timer.async_wait([self = shared_from_this(), then](boost::system::error_code error) {
    if (!error && !self->stopped_) ((*self).*then)();
  });
}

void FolderWatchEngine::publish_status() {
  const std::lock_guard lock(status_mutex_);
  status_.up = up_;
  status_.polling = polling_;
  status_.pending = tracker_.size() + pairs_.size() + static_cast<std::uint64_t>(submitter_ ? submitter_->outstanding() : 0);
  status_.accepted = submitter_ ? submitter_->accepted() : 0;
  status_.duplicates = submitter_ ? submitter_->duplicates() : 0;
  status_.ignored = ignored_;
}

}  // namespace retouchd::intake
