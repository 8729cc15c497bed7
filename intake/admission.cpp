#include "intake/admission.h"
#include "base/picture_suffixes.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <random>
#include <system_error>
#include <utility>

namespace retouchd::intake {
namespace {

namespace fs = std::filesystem;

Error refusal(std::string message) { return make_error(ErrorCode::kInvalidRequest, std::move(message)); }

/// 128 random bits as text.
std::string random_key() {
  std::array<std::uint8_t, 16> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    std::random_device device;
    std::generate(random.begin(), random.end(), [&] { return static_cast<std::uint8_t>(device()); });
  }
  return sha256_hex(random).substr(0, 32);
}

/// Only what looks like a suffix goes into a file name of ours.
std::string plain_suffix(const fs::path& name) {
  constexpr std::size_t kLongest = 6;
  std::string suffix = name.extension().string();
  if (suffix.size() < 2 || suffix.size() > kLongest) return {};
  const bool plain = std::all_of(suffix.begin() + 1, suffix.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
  return plain ? suffix : std::string{};
}

Result<void> check_size(const fs::path& name, std::uint64_t size, Bytes limit) {
  if (size == 0) return make_error(ErrorCode::kInputEmpty, name.string() + " is empty (0 bytes)");
  if (size > limit.value) {
    return make_error(ErrorCode::kPictureTooLarge,
                      name.string() + " has " + to_string(Bytes{size}) + "; limits.file_size is " + to_string(limit));
  }
  return {};
}

Uploads::Limits upload_limits(const Admission::Options& options) {
  return {options.limits.file_size, options.serve.disk, options.serve.keep};
}

}  // namespace

/// `suffix` goes to names that we make up.
Result<fs::path> choose_output(const fs::path& source, const fs::path& name, const std::string& wanted, const fs::path& fallback,
                               std::string_view suffix) {
  const auto made_up = [&](const fs::path& path) {
    return suffix.empty() ? path : with_suffix(path, suffix, source, Renamed::kAll);
  };
  if (wanted.empty()) return made_up(fallback);
  fs::path output(wanted);
  if (!output.is_absolute()) return refusal("output must be an absolute path, not " + wanted);
  output = output.lexically_normal();
  std::error_code ignored;
  if (!output.has_filename() || fs::is_directory(output, ignored)) output /= made_up(name.filename());
  if (output == source || fs::equivalent(output, source, ignored)) {
    return refusal("output " + output.string() + " is the source itself; originals are never replaced");
  }
  return output;
}

Admission::Admission(Options options, queue::JobStore& store, Hooks hooks, const Clock& clock)
    : store_(store),
      hooks_(std::move(hooks)),
      clock_(clock),
      state_dir_(options.state_dir),
      spool_(state_dir_ / "spool"),
      uploads_(state_dir_ / "uploads", upload_limits(options), clock),
      options_(std::make_shared<const Options>(std::move(options))) {}

std::shared_ptr<const Admission::Options> Admission::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void Admission::reconfigure(const config::Limits& limits, const std::string& default_network, const config::Cascade& cascade,
                            const config::Serve& serve, const config::Output& output) {
  const std::lock_guard lock(mutex_);
  options_ =
      std::make_shared<const Options>(Options{state_dir_, limits, default_network, cascade, options_->has_node, serve, output});
  uploads_.reconfigure(upload_limits(*options_));
}

std::vector<std::string> Admission::networks() const { return hooks_.networks ? hooks_.networks() : std::vector<std::string>(); }

Result<void> Admission::check_room() {
  constexpr std::chrono::milliseconds kFresh{1'000};
  constexpr std::chrono::milliseconds kFreshWhenFull{100};
  if (is_draining()) return make_error(ErrorCode::kBusy, "the daemon is shutting down and takes no new jobs");
  const std::lock_guard lock(mutex_);
  const std::int64_t limit = options_->limits.queued_jobs;
  const auto now = clock_.steady_now();
  if (!counted_at_ || now - *counted_at_ >= (queued_ >= limit ? kFreshWhenFull : kFresh)) {
    auto counts = store_.counts();
    if (!counts) return counts.error();
    queued_ = (*counts)[static_cast<std::size_t>(queue::JobState::kQueued)];
    counted_at_ = now;
  }
  if (queued_ >= limit) {
    return make_error(ErrorCode::kBusy,
                      std::to_string(queued_) + " jobs are queued (limits.queued_jobs is " + std::to_string(limit) + ")");
  }
  ++queued_;
  return {};
}

void Admission::give_room_back() {
  const std::lock_guard lock(mutex_);
  queued_ = std::max<std::int64_t>(queued_ - 1, 0);
}

Result<queue::JobRequest> Admission::prepare(const wire::Submit& submit, std::string origin,
                                             std::optional<std::span<const std::uint8_t>> content) {
  queue::JobRequest request;
  request.key = submit.key.empty() ? random_key() : submit.key;
  request.origin = std::move(origin);
  request.overwrite = submit.overwrite;
  request.preview = submit.preview;
  request.preview_only = submit.preview_only;
  const auto defaults = options();
  request.network = submit.network.empty() ? defaults->default_network : submit.network;
  request.policy = submit.policy.empty() ? defaults->cascade.policy : submit.policy;
  request.skip_good = submit.skip_good.value_or(defaults->cascade.skip_good);
  request.priority = submit.priority;
  if (submit.policy == "hybrid" && !defaults->has_node) {
    return make_error(ErrorCode::kInvalidRequest,
                      "policy: hybrid needs a node to escalate to, and none is configured (cloud.node)");
  }
  if (submit.deadline_seconds > 0) {
    request.deadline =
        clock_.now() + std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>(submit.deadline_seconds));
  }
  if (auto known = check_network(request.network); !known) return known.error();
  const auto read = submit.path.empty() ? read_content(submit, content, request) : read_path(submit, request);
  if (!read) return read.error();
  return request;
}

Result<void> Admission::check_network(const std::string& name) const {
  if (!hooks_.networks) return {};
  const std::vector<std::string> networks = hooks_.networks();
  if (std::find(networks.begin(), networks.end(), name) != networks.end()) return {};
  std::string message = "there is no network \"" + name + "\"";
  if (networks.empty()) return make_error(ErrorCode::kUnknownNetwork, message + ", nor any other");
  message += "; there ";
  message += networks.size() == 1 ? "is " : "are ";
  for (std::size_t i = 0; i < networks.size(); ++i) message += (i == 0 ? "" : ", ") + networks[i];
  return make_error(ErrorCode::kUnknownNetwork, message);
}

Result<FileIdentity> Admission::identify(const wire::Submit& submit, const fs::path& source) {
  auto identity = identify_file(source);
  if (identity) {
    if (auto sized = check_size(source, identity->size, options()->limits.file_size); !sized) identity = sized.error();
  }
  if (identity || submit.key.empty()) return identity;
  // Sent again after its job has moved or replaced the original?
  if (auto earlier = store_.find_by_key(submit.key); earlier && *earlier && (*earlier)->request.source == source) {
    return (*earlier)->request.identity;
  }
  return identity;
}

Result<void> Admission::read_path(const wire::Submit& submit, queue::JobRequest& request) {
  const fs::path path(submit.path);
  if (!path.is_absolute()) return refusal("path must be absolute, not " + submit.path);
  request.source = path.lexically_normal();
  auto identity = identify(submit, request.source);
  if (!identity) return identity.error();
  request.identity = *identity;
  request.name = submit.name.empty() ? request.source.filename().string() : submit.name;
  auto beside =
      request.source.parent_path() / (request.source.stem().string() + "_restored" + request.source.extension().string());
  auto output = choose_output(request.source, request.source.filename(), submit.output, beside, options()->output.suffix());
  if (!output) return output.error();
  request.output = *output;
  return {};
}

Result<void> Admission::read_content(const wire::Submit& submit, std::optional<std::span<const std::uint8_t>> content,
                                     queue::JobRequest& request) {
  const fs::path name(submit.name);
  if (name.filename() != name || submit.name == "." || submit.name == "..") {
    return refusal("name must be a plain file name, not " + submit.name);
  }
  if (content) {
    if (auto sized = check_size(name, content->size(), options()->limits.file_size); !sized) return sized;
  }
  request.name = submit.name;
  request.spooled = true;
  request.source = spool_.path_for(request.key, content ? sha256_hex(*content) : submit.content, plain_suffix(name));
  auto output = choose_output(request.source, name, submit.output, state_dir_ / "results" / request.source.filename(),
                              options()->output.suffix());
  if (!output) return output.error();
  request.output = *output;

  // The same submit sent again: the copy may already be in use, or gone because its job has ended. It must neither be replaced
  // nor written anew.
  if (!submit.key.empty()) {
    auto earlier = store_.find_by_key(request.key);
    if (!earlier) return earlier.error();
    if (*earlier) {
      if ((*earlier)->request.source != request.source) {
        return make_error(ErrorCode::kConflict, "the key \"" + request.key + "\" belongs to job " +
                                                    std::to_string((*earlier)->id) + ", whose picture differs");
      }
      request.identity = (*earlier)->request.identity;
      return {};
    }
  }
  auto entry = into_spool(submit, content, request);
  if (!entry) return entry.error();
  request.identity = entry->identity;
  return {};
}

Result<Spool::Entry> Admission::into_spool(const wire::Submit& submit, std::optional<std::span<const std::uint8_t>> content,
                                           const queue::JobRequest& request) {
  if (content) return spool_.put(request.source, *content);
  const auto upload = uploads_.content(request.origin, submit.content);
  if (!upload) return upload.error();
  return spool_.adopt(request.source, *upload);
}

}  // namespace retouchd::intake
