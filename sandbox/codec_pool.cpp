#include "sandbox/codec_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "sandbox/exchange.h"
#include "sandbox/worker_process.h"

namespace retouchd::sandbox {
namespace {

using How = WorkerProcess::Answer::How;
using std::chrono::steady_clock;

constexpr std::uint64_t kMostCalls = 1500;  // of one worker: 500 pictures, each a header, pixels and a result
constexpr int kMostKills = 4;
constexpr std::chrono::seconds kStartTime{60};

/// Where `retouchd-codec` lies from a program: beside it, in a build tree, installed.
constexpr std::array kPlaces{"retouchd-codec", "../sandbox/retouchd-codec", RETOUCHD_LIBEXEC "/retouchd-codec"};

std::filesystem::path find_program() {
  if (const char* named = std::getenv("RETOUCHD_CODEC"); named != nullptr) return named;
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const char* place : kPlaces) {
    auto program = here / place;
    if (std::filesystem::is_regular_file(program, ignored)) return program.lexically_normal();
  }
  return (here / kPlaces.back()).lexically_normal();
}

/// One task as the pool sees it. `prepare` runs before each attempt and returns the files to send; `accept` looks at what came
/// back and says what no honest worker would have said; it may end the worker by `leaves`.
struct Assignment {
  Request request;
  WorkerProcess::Allowance allowance;
  std::function<Result<std::vector<int>>(WorkerProcess&)> prepare;
  std::function<std::optional<std::string>(Reply&, const WorkerProcess&)> accept;

  [[nodiscard]] std::string_view who() const noexcept { return request.task == Task::kEncode ? "encoder" : "decoder"; }
};

/// Address space for encoding. A bound for what has run wild, no estimate: JPEG XL and AVIF take about 100 bytes a pixel.
std::uint64_t encoder_memory(const EncodedPlanes& planes) noexcept {
  constexpr double kBytesPerPixel = 256;
  return 4 * planes.size() + planes.description_size() + static_cast<std::uint64_t>(planes.megapixels() * 1e6 * kBytesPerPixel);
}

/// Codecs that failed in the middle may have left anything behind; those that refused a header have not begun.
bool leaves_dirt(const Request& request, const Error& error) noexcept {
  return request.task != Task::kReadHeader || error.code == ErrorCode::kOverMemoryBudget || error.code == ErrorCode::kInternal;
}

/// What `work` returns, or that memory was missing: nothing else is thrown there.
template <class T, class Work>
Result<T> within_memory(Work&& work) {
  try {
    return work();
  } catch (const std::exception&) {
    return make_error(ErrorCode::kOverMemoryBudget, "not enough memory for the picture");
  }
}

}  // namespace

class CodecPool::Impl {
 public:
  Impl(Options options, std::filesystem::path program) : options_(std::move(options)), program_(std::move(program)) {}

  Result<void> start() {
    for (int i = 0; i < std::max(options_.workers, 1); ++i) {
      auto worker = start_one();
      if (!worker) return worker.error();
      idle_.push_back(*std::move(worker));
    }
    const auto deadline = steady_clock::now() + kStartTime;
    for (const auto& worker : idle_) {
      if (auto ready = worker->await_ready(deadline); !ready) return ready;
    }
    return {};
  }

  /// Has a worker do it. One that dies of it, or that fails after it did other work, which may be to blame, gets a second attempt
  /// in a fresh one.
  Result<Reply> run(Assignment& assignment) {
    bool is_second = false;
    int kills = 0;
    while (true) {
      auto worker = take(is_second);
      // No fault of this picture or of the configuration, which was good at the start: worth another try later.
      if (!worker) return make_error(ErrorCode::kIoError, worker.error().message);
      auto files = within_memory<std::vector<int>>([&] { return assignment.prepare(**worker); });
      if (!files) {
        give_back(*std::move(worker), true);
        return files.error();
      }
      const bool was_used = (*worker)->calls() > 0;
      WorkerProcess::Answer answer = (*worker)->call(assignment.request, *files, assignment.allowance);
      auto outcome = judge(assignment, answer, **worker);
      give_back(*std::move(worker), answer.how == How::kReplied && answer.reply.leaves == 0);
      if (answer.how == How::kReplied) return outcome;
      if (answer.how == How::kKilled) {
        if (++kills < kMostKills) continue;
        return outcome;
      }
      if (is_second || (answer.how != How::kDied && !was_used)) return outcome;
      is_second = true;
    }
  }

  [[nodiscard]] std::chrono::seconds time_for(double megapixels) const {
    return options_.timeout + std::chrono::seconds(static_cast<std::int64_t>(megapixels));
  }

  void count_picture() {
    const std::lock_guard lock(mutex_);
    ++counts_.pictures;
  }

  [[nodiscard]] PoolCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  using Worker = std::unique_ptr<WorkerProcess>;

  Result<Worker> start_one() {
    auto worker = WorkerProcess::start(program_);
    if (worker) {
      const std::lock_guard lock(mutex_);
      ++counts_.started;
    }
    return worker;
  }

  /// A worker that waits for a request, on wish one that has done nothing yet; waits until one is free.
  Result<Worker> take(bool is_fresh) {
    Worker worker;
    {
      std::unique_lock lock(mutex_);
      freed_.wait(lock, [&] { return !idle_.empty(); });
      const auto ready = std::find_if(idle_.begin(), idle_.end(), [](const Worker& one) { return one && one->is_ready(); });
      const auto chosen = ready != idle_.end() ? ready : idle_.begin();
      worker = std::move(*chosen);
      idle_.erase(chosen);
    }
    if (worker && is_fresh && worker->calls() > 0) worker.reset();
    // One that died in its sleep, or speaks unasked, is none.
    if (worker && worker->is_ready() && worker->is_idle()) return worker;
    auto made = refresh(std::move(worker));
    if (!made) release(nullptr);
    return made;
  }

  Result<Worker> refresh(Worker worker) {
    const auto deadline = steady_clock::now() + kStartTime;
    if (worker && !worker->is_ready() && worker->await_ready(deadline)) return worker;
    worker.reset();
    auto fresh = start_one();
    if (!fresh) return fresh.error();
    if (auto ready = (*fresh)->await_ready(deadline); !ready) return ready.error();
    return fresh;
  }

  void give_back(Worker worker, bool is_clean) {
    if (!is_clean || worker->calls() >= kMostCalls) {
      // The new one gets ready while others work.
      worker.reset();
      auto fresh = start_one();
      worker = fresh ? *std::move(fresh) : nullptr;
    }
    release(std::move(worker));
  }

  void release(Worker worker) {
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(std::move(worker));
    }
    freed_.notify_one();
  }

  /// The reply, or the error that the answer stands for. Turns a reply that cannot be into kNonsense, or one after which the
  /// worker may be dirty into its last.
  Result<Reply> judge(const Assignment& assignment, WorkerProcess::Answer& answer, const WorkerProcess& worker) {
    if (answer.how == How::kReplied && answer.reply.code != Reply::kOk) {
      if (auto error = checked_error(answer.reply)) {
        if (leaves_dirt(assignment.request, *error)) answer.reply.leaves = 1;
        return *std::move(error);
      }
      answer.how = How::kNonsense;
      answer.reason = "reports an error that it cannot have";
    }
    if (answer.how == How::kReplied) {
      auto reason = within_memory<std::optional<std::string>>([&] { return assignment.accept(answer.reply, worker); });
      if (!reason) return reason.error();
      if (!reason->has_value()) return answer.reply;
      answer.how = How::kNonsense;
      answer.reason = **std::move(reason);
    }
    {
      const std::lock_guard lock(mutex_);
      ++(answer.how == How::kTimeout ? counts_.timeouts : counts_.crashes);
    }
    const auto crashed = [&](std::string_view often) {
      return make_error(ErrorCode::kDecoderCrashed, fmt::format("the {} {}{}", assignment.who(), answer.reason, often));
    };
    if (answer.how == How::kDied) return crashed(" on this picture, twice");
    if (answer.how == How::kKilled) return crashed(", again and again; the kernel's log may say why");
    return crashed("");
  }

  const Options options_;
  const std::filesystem::path program_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Worker> idle_;  ///< null: one that could not be started
  PoolCounts counts_;
};

Result<std::unique_ptr<CodecPool>> CodecPool::open(const Options& options) {
  const auto program = options.program.empty() ? find_program() : options.program;
  std::error_code ignored;
  const auto failed = [&](const std::string& reason) {
    return make_error(ErrorCode::kBadConfig,
                      fmt::format("{}; `sandbox.enabled: false` reads pictures without protection, inside retouchd", reason));
  };
  if (!std::filesystem::is_regular_file(program, ignored)) {
    return failed(fmt::format("{} is missing: pictures are read and written by it", program.string()));
  }
  auto impl = std::make_unique<Impl>(options, program);
  if (auto started = impl->start(); !started) return failed(started.error().message);
  return std::unique_ptr<CodecPool>(new CodecPool(std::move(impl)));
}

CodecPool::CodecPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CodecPool::~CodecPool() = default;

PoolCounts CodecPool::counts() const { return impl_->counts(); }

Result<image::PictureHeader> CodecPool::read_header(const InputFile& file, const image::DecodeLimits& limits) {
  std::optional<image::PictureHeader> header;
  Assignment assignment;
  assignment.request.task = Task::kReadHeader;
  assignment.request.file_size = file.identity.size;
  assignment.request.limits = limits;
  assignment.allowance = {file.identity.size, 0, impl_->time_for(0)};
  assignment.prepare = [&](WorkerProcess&) -> Result<std::vector<int>> { return std::vector{file.fd.get()}; };
  assignment.accept = [&](Reply& reply, const WorkerProcess&) -> std::optional<std::string> {
    header = checked(reply.header, limits);
    if (!header) return "describes a picture that cannot be";
    return std::nullopt;
  };
  if (auto reply = impl_->run(assignment); !reply) return reply.error();
  return *header;
}

Result<image::Picture> CodecPool::decode(const InputFile& file, const image::PictureHeader& header,
                                         const image::DecodeLimits& limits) {
  DecodedPlanes planes(header, limits);
  Assignment assignment;
  assignment.request.task = Task::kDecode;
  assignment.request.file_size = file.identity.size;
  assignment.request.planes_size = planes.size();
  assignment.request.description_size = planes.most_described();
  assignment.request.limits = limits;
  assignment.allowance = {file.identity.size + 2 * planes.size() + header.working.value, planes.most_described(),
                          impl_->time_for(header.megapixels())};
  assignment.prepare = [&](WorkerProcess&) { return planes.make(file.fd.get()); };
  assignment.accept = [&](Reply& reply, const WorkerProcess& worker) {
    return planes.take(reply.description_size, worker.arena());
  };
  if (auto reply = impl_->run(assignment); !reply) return reply.error();
  impl_->count_picture();
  return planes.picture();
}

Result<std::string> CodecPool::encode(const image::Picture& picture, image::FileFormat format,
                                      const image::EncodeOptions& options, int fd) {
  return within_memory<std::string>([&]() -> Result<std::string> {
    EncodedPlanes planes(picture);
    Assignment assignment;
    assignment.request.task = Task::kEncode;
    assignment.request.planes_size = planes.size();
    assignment.request.description_size = planes.description_size();
    assignment.request.format = format;
    assignment.request.options = options;
    assignment.allowance = {encoder_memory(planes), planes.most_written(), impl_->time_for(planes.megapixels())};
    LentFile output(fd);
    assignment.prepare = [&](WorkerProcess& worker) -> Result<std::vector<int>> {
      if (auto lent = output.lend(); !lent) return lent.error();
      auto files = planes.put(worker.arena());
      if (files) files->insert(files->begin() + 1, output.get());
      return files;
    };
    assignment.accept = [&](Reply& reply, const WorkerProcess&) -> std::optional<std::string> {
      if (!output.take_back()) reply.leaves = 1;
      return std::nullopt;
    };
    auto reply = impl_->run(assignment);
    if (!reply) return reply.error();
    impl_->count_picture();
    return text_of(reply->text);
  });
}

}  // namespace retouchd::sandbox
