#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "config/config.h"
#include "intake/spool.h"
#include "intake/uploads.h"
#include "intake/wire/request.h"
#include "queue/job_store.h"

namespace retouchd::intake {

/// Turns a client's submit into the JobRequest that the store accepts: paths checked, output named, content spooled. The same for
/// every way in.
///
/// Threads: safe. prepare() reads and writes files; keep it off threads that must not wait for a disk.
class Admission {
 public:
  struct Options {
    std::filesystem::path state_dir;  ///< holds spool/, uploads/ and results/
    config::Limits limits;
    std::string default_network;
    config::Cascade cascade{};  ///< policy and skip_good of submits that name none
    bool has_node = false;      ///< pictures can be escalated
    config::Serve serve{};      ///< disk and keep of uploads
    config::Output output{};    ///< format of results that submits do not name
  };

  struct Hooks {
    std::function<std::vector<std::string>()> networks;  ///< names in the registry; empty: every name is taken
    std::function<bool()> draining;                      ///< empty: never
  };

  /// How long a client that was answered kBusy should wait.
  static constexpr std::chrono::milliseconds kRetryAfter{2'000};

  Admission(Options options, queue::JobStore& store, Hooks hooks, const Clock& clock = system_clock());

  [[nodiscard]] bool is_draining() const { return hooks_.draining && hooks_.draining(); }
  [[nodiscard]] std::string default_network() const { return options()->default_network; }
  /// Names in the registry; empty where nobody knows them.
  [[nodiscard]] std::vector<std::string> networks() const;
  [[nodiscard]] const std::filesystem::path& state_dir() const noexcept { return state_dir_; }
  /// Holds for what comes from now on; the state directory, and whether there is a node, stay.
  void reconfigure(const config::Limits& limits, const std::string& default_network, const config::Cascade& cascade,
                   const config::Serve& serve, const config::Output& output);

  /// kBusy while the daemon drains or limits.queued_jobs are queued; else counts one more. The count is the store's, up to a
  /// second old, plus what was let through since.
  [[nodiscard]] Result<void> check_room();
  /// What check_room() let through did not become a job.
  void give_room_back();

  /// The job that `submit` asks for. The picture is `content` when it came as bytes, or an upload of the same origin; it is
  /// durable in the spool when this returns. A key that is known already gives the same request again although the picture has
  /// gone since, so that the store finds its job. Errors: kInvalidRequest, kInputMissing, kInputUnreadable, kInputEmpty,
  /// kPictureTooLarge, kUnknownNetwork (with the names there are), kConflict, kDiskFull, kIoError.
  [[nodiscard]] Result<queue::JobRequest> prepare(const wire::Submit& submit, std::string origin,
                                                  std::optional<std::span<const std::uint8_t>> content);

  /// For sweep(): a copy whose request the store then refused stays until it is swept, because another job may share it.
  [[nodiscard]] const Spool& spool() const noexcept { return spool_; }

  /// Pictures that come in parts; their owners are the origins of jobs.
  [[nodiscard]] Uploads& uploads() noexcept { return uploads_; }

 private:
  Result<void> check_network(const std::string& name) const;
  Result<FileIdentity> identify(const wire::Submit& submit, const std::filesystem::path& source);
  Result<void> read_path(const wire::Submit& submit, queue::JobRequest& request);
  Result<void> read_content(const wire::Submit& submit, std::optional<std::span<const std::uint8_t>> content,
                            queue::JobRequest& request);
  Result<Spool::Entry> into_spool(const wire::Submit& submit, std::optional<std::span<const std::uint8_t>> content,
                                  const queue::JobRequest& request);

  [[nodiscard]] std::shared_ptr<const Options> options() const;

  queue::JobStore& store_;
  const Hooks hooks_;
  const Clock& clock_;
  const std::filesystem::path state_dir_;
  const Spool spool_;
  Uploads uploads_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Options> options_;  // guarded by mutex_
  std::int64_t queued_ = 0;                 // guarded by mutex_
  std::optional<std::chrono::steady_clock::time_point> counted_at_;
};

/// The output of a picture `source` (called `name`) when the client wanted `wanted`: itself, or the same name in it when it is a
/// folder or ends in '/', or `fallback` when it is empty. kInvalidRequest when it is relative or would be the source itself.
[[nodiscard]] Result<std::filesystem::path> choose_output(const std::filesystem::path& source, const std::filesystem::path& name,
                                                          const std::string& wanted, const std::filesystem::path& fallback);

}  // namespace retouchd::intake
