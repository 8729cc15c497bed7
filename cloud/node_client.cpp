// A trip, with what may interrupt each step:
//
//   [submit by key] -> upload chunks -> submit -> status, status, ... done -> fetch chunks
//        |  content unknown ^  lost: ask `have`      |  job unknown: begin anew (the key makes it the same job)
//        +------------------+                        v
//        known: straight to status              failed for good

#include "cloud/node_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "base/file.h"
#include "cloud/chunk_size.h"

namespace retouchd::cloud {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr int kMostLosses = 4;    ///< the node may forget a picture so often
constexpr int kMostRejected = 2;  ///< complete uploads that were refused
constexpr int kMostStalls = 16;   ///< chunks in a row that did not get us any further

TripFailure bad_answer(std::string what) {
  return {Trouble::kBadAnswer, make_error(ErrorCode::kCloudFailed, "the cloud node gave a wrong answer: " + std::move(what))};
}

TripFailure refused(const Error& error) {
  return {Trouble::kRefused, make_error(ErrorCode::kCloudFailed, "the cloud node refused: " + error.message)};
}

/// Non-negative whole number under `key`.
std::optional<std::int64_t> whole_number(const json& object, const char* key) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return std::nullopt;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  const auto number = found->get<std::int64_t>();
  return number >= 0 ? std::optional(number) : std::nullopt;
}

std::string text_in(const json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_hash(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

const json& object_in(const json& object, const char* key) {
  static const json kNone = json::object();
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? *found : kNone;
}

}  // namespace

class NodeClient::Journey {
 public:
  Journey(NodeClient& client, const Trip& trip, const TripWatch& watch)
      : client_(client), calls_(client.calls_), trip_(trip), watch_(watch), chunk_size_(client.timing_.request) {}

  Step<Fetched> run() {
    bool may_be_known = trip_.may_be_known;
    for (int losses = 0; losses < kMostLosses; ++losses) {
      bool is_submitted = false;
      if (may_be_known) {
        auto known = submit();
        if (auto* failure = failure_of(known)) return std::move(*failure);
        is_submitted = std::get<bool>(known);
      }
      may_be_known = true;
      if (!is_submitted) {
        if (auto failure = upload()) return std::move(*failure);
        auto step = submit();
        if (auto* failure = failure_of(step)) return std::move(*failure);
        if (!std::get<bool>(step)) continue;
      }
      auto done = wait_until_done();
      if (auto* failure = failure_of(done)) return std::move(*failure);
      if (!std::get<0>(done)) continue;
      auto fetched = fetch(*std::get<0>(done));
      if (auto* failure = failure_of(fetched)) return std::move(*failure);
      if (auto& found = std::get<0>(fetched)) return std::move(*found);
    }
    return bad_answer("it forgot the picture again and again");
  }

 private:
  /// True: the node has the job. False: it lacks the content.
  Step<bool> submit() {
    wire::Submit submit;
    submit.content = trip_.parcel.sha256;
    submit.name = trip_.parcel.name;
    submit.network = trip_.network;
    submit.key = trip_.key;
    submit.preview = false;
    // The node makes the full pass itself: it neither sends the picture on nor leaves it as it is.
    submit.policy = "local";
    submit.skip_good = false;
    if (trip_.deadline != kNever) {
      const std::chrono::duration<double> left = trip_.deadline - client_.clock_.now();
      if (left.count() <= 0)
        return TripFailure{Trouble::kTimeout, make_error(ErrorCode::kDeadlinePassed, "the deadline passed on the way")};
      submit.deadline_seconds = left.count();
    }
    auto step = calls_.repeat(submit);
    if (auto* failure = failure_of(step)) return std::move(*failure);
    const auto& reply = std::get<wire::Reply>(step);
    if (reply.error) {
      const auto code = reply.error->code;
      if (code == ErrorCode::kInputMissing || code == ErrorCode::kInputChanged) return false;
      return refused(*reply.error);
    }
    const auto job = whole_number(reply.body, "job");
    if (!job || *job == 0) return bad_answer("a submit was accepted without a job");
    client_.remote_job_ = *job;
    return true;
  }

  std::optional<TripFailure> upload() {
    const UniqueFd file(::open(trip_.parcel.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return failure_here("cannot open " + trip_.parcel.file.string(), true);
    const auto total = trip_.parcel.size.value;
    auto known = ask_have();
    std::vector<std::uint8_t> chunk;
    std::uint64_t before = 0;
    int stalls = 0;
    int setbacks = 0;
    while (true) {
      if (auto* failure = failure_of(known)) return std::move(*failure);
      const Have have = std::get<Have>(known);
      if (have.is_complete) return std::nullopt;
      if (have.bytes >= total) return bad_answer("an upload has all its bytes and is not complete");
      stalls = have.bytes > before ? 0 : stalls + 1;
      setbacks += have.bytes < before ? 1 : 0;
      if (stalls > kMostStalls || setbacks > kMostLosses) return bad_answer("an upload does not get on");
      before = have.bytes;

      chunk.resize(static_cast<std::size_t>(std::min<std::uint64_t>(total - have.bytes, chunk_size_.next().value)));
      if (::pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(have.bytes)) != static_cast<ssize_t>(chunk.size()))
        return failure_here("cannot read " + trip_.parcel.file.string(), true);
      known = send_chunk(have.bytes, chunk);
    }
  }

  struct Have {
    std::uint64_t bytes = 0;
    bool is_complete = false;
  };

  Step<Have> ask_have() {
    auto step = calls_.repeat(wire::Upload{trip_.parcel.sha256, trip_.parcel.size.value, 0});
    if (auto* failure = failure_of(step)) return std::move(*failure);
    return have_in(std::get<wire::Reply>(step));
  }

  Step<Have> have_in(const wire::Reply& reply) {
    // The bytes on the node were damaged (it lost power, say) and thrown away.
    const bool begins_anew = reply.error && reply.error->code == ErrorCode::kInvalidRequest && ++rejected_ < kMostRejected;
    if (begins_anew) return Have{};
    if (reply.error) return refused(*reply.error);
    const auto bytes = whole_number(reply.body, "have");
    const json& complete = object_in(reply.body, "complete");
    if (!bytes || !complete.is_boolean()) return bad_answer("an upload was answered without `have` and `complete`");
    if (static_cast<std::uint64_t>(*bytes) > trip_.parcel.size.value) return bad_answer("it has more than there is");
    return Have{static_cast<std::uint64_t>(*bytes), complete.get<bool>()};
  }

  /// After an answer that did not come the node is asked where it stands; what it refused it has not written.
  Step<Have> send_chunk(std::uint64_t offset, std::span<const std::uint8_t> chunk) {
    const auto begin = client_.clock_.steady_now();
    auto step = calls_.once(wire::Upload{trip_.parcel.sha256, trip_.parcel.size.value, offset}, chunk);
    if (auto* failure = failure_of(step)) return std::move(*failure);
    auto* reply = std::get_if<wire::Reply>(&std::get<0>(step));
    if (reply != nullptr && (!reply->error || !passes(*reply->error))) {
      chunk_size_.went(Bytes{chunk.size()}, client_.clock_.steady_now() - begin);
      return have_in(*reply);
    }
    if (reply != nullptr) {
      if (auto over = calls_.pause_after(*reply)) return std::move(*over);
      return Have{offset, false};
    }
    chunk_size_.lost();
    if (auto over = calls_.pause_after_loss()) return std::move(*over);
    return ask_have();
  }

  /// What the node says the result is; nullopt: it does not know the job any more.
  Step<std::optional<Announced>> wait_until_done() {
    auto pause = client_.timing_.first_poll;
    while (true) {
      auto step = calls_.repeat(wire::Status{client_.remote_job_});
      if (auto* failure = failure_of(step)) return std::move(*failure);
      const auto& reply = std::get<wire::Reply>(step);
      if (reply.error) {
        if (reply.error->code == ErrorCode::kUnknownJob) return std::nullopt;
        return refused(*reply.error);
      }
      const json& job = object_in(reply.body, "job");
      const std::string state = text_in(job, "state");
      if (state == "done") return announced_in(job);
      if (state == "failed") return failure_in(job);
      if (state == "cancelled")
        return TripFailure{Trouble::kRefused, make_error(ErrorCode::kCloudFailed, "the cloud node cancelled the picture")};
      if (state.empty()) return bad_answer("a job has no state");
      relay_progress(object_in(job, "progress"));
      if (auto over = calls_.pause(pause)) return std::move(*over);
      pause = std::min(client_.timing_.last_poll, pause * 3 / 2);
    }
  }

  Step<std::optional<Announced>> announced_in(const json& job) const {
    const auto size = whole_number(job, "size");
    const std::string sha256 = text_in(job, "sha256");
    if (!size || *size == 0 || !is_hash(sha256)) return bad_answer("a job is done and has no result");
    if (static_cast<std::uint64_t>(*size) > trip_.most_back.value)
      return bad_answer("its result has " + to_string(Bytes{static_cast<std::uint64_t>(*size)}) + ", more than it can have");
    return std::optional(Announced{Bytes{static_cast<std::uint64_t>(*size)}, sha256});
  }

  static TripFailure failure_in(const json& job) {
    const json& error = object_in(job, "error");
    constexpr std::size_t kLongest = 300;  // it goes into our log and our job
    const auto why = text_in(error, "message").substr(0, kLongest);
    const bool is_late = text_in(error, "code") == traits_of(ErrorCode::kDeadlinePassed).name;
    return {
        is_late ? Trouble::kTimeout : Trouble::kRefused,
        make_error(ErrorCode::kCloudFailed, "the cloud node could not restore it: " + (why.empty() ? "no reason given" : why))};
  }

  void relay_progress(const json& progress) {
    const auto done = whole_number(progress, "done");
    const auto total = whole_number(progress, "total");
    if (!done || !total || *done > *total || *done == last_done_ || !watch_.progress) return;
    last_done_ = *done;
    watch_.progress(*done, *total);
  }

  /// nullopt: the node does not know the job any more.
  Step<std::optional<Fetched>> fetch(const Announced& announced) {
    // Named by content, so that a later attempt goes on with bytes of the same result only.
    auto path = trip_.partial;
    path += "." + announced.sha256.substr(0, 16) + ".part";
    const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.valid()) return failure_here("cannot write " + path.string(), false);
    struct ::stat status {};
    if (::fstat(file.get(), &status) != 0) return failure_here("cannot read " + path.string(), true);
    auto offset = static_cast<std::uint64_t>(status.st_size);
    if (offset > announced.size.value) {
      if (::ftruncate(file.get(), 0) != 0) return failure_here("cannot write " + path.string(), false);
      offset = 0;
    }
    while (offset < announced.size.value) {
      const auto begin = client_.clock_.steady_now();
      const auto length = std::min(announced.size.value - offset, chunk_size_.next().value);
      auto step = calls_.repeat(wire::Fetch{client_.remote_job_, offset, length});
      if (auto* failure = failure_of(step)) return std::move(*failure);
      const auto& reply = std::get<wire::Reply>(step);
      if (reply.error) {
        if (reply.error->code == ErrorCode::kUnknownJob) return std::nullopt;
        return refused(*reply.error);
      }
      const auto& part = reply.content;
      if (part.empty() || part.size() > length)
        return bad_answer("a part of the result has " + std::to_string(part.size()) + " bytes");
      if (::pwrite(file.get(), part.data(), part.size(), static_cast<off_t>(offset)) != static_cast<ssize_t>(part.size()))
        return failure_here("cannot write " + path.string(), false);
      offset += part.size();
      chunk_size_.went(Bytes{part.size()}, client_.clock_.steady_now() - begin);
    }
    return std::optional(Fetched{std::move(path), announced});
  }

  static TripFailure failure_here(const std::string& what, bool reading) {
    return {Trouble::kHere, error_from_errno(errno != 0 ? errno : EIO, what, reading)};
  }

  NodeClient& client_;
  NodeCalls& calls_;
  const Trip& trip_;
  const TripWatch& watch_;
  ChunkSize chunk_size_;
  int rejected_ = 0;  ///< uploads that were thrown away
  std::int64_t last_done_ = -1;
};

NodeClient::NodeClient(Connect connect, NodeTiming timing, Gate& gate, RetryBudget& retries, const Clock& clock)
    : timing_(timing), clock_(clock), calls_(std::move(connect), timing, gate, retries, clock) {}

Step<Fetched> NodeClient::carry(const Trip& trip, const TripWatch& watch) {
  remote_job_ = 0;
  calls_.begin(watch, trip.give_up);
  return Journey(*this, trip, watch).run();
}

void NodeClient::cancel(milliseconds patience, const TripWatch& watch) {
  if (remote_job_ == 0) return;
  calls_.begin(watch, clock_.steady_now() + patience);
  (void)calls_.once(wire::Cancel{remote_job_});
}

bool NodeClient::ping(const TripWatch& watch) {
  calls_.begin(watch, NodeCalls::Steady::max());
  const auto step = calls_.once(wire::Ping{});
  const auto* answer = std::get_if<0>(&step);
  return answer != nullptr && std::holds_alternative<wire::Reply>(*answer);
}

}  // namespace retouchd::cloud
