#include "fake_node.h"

#include <algorithm>

#include "base/file.h"

namespace retouchd::cloud {

using nlohmann::json;

std::string sha256_of(const std::string& text) {
  return sha256_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

FakeNode::FakeNode(const std::string& file) : endpoint_("ipc://" + file) {
  socket_.set(zmq::sockopt::linger, 0);
  socket_.set(zmq::sockopt::rcvtimeo, 5);
  socket_.bind(endpoint_);
  thread_ = std::thread([this] { serve(); });
}

FakeNode::~FakeNode() {
  is_stopping_ = true;
  thread_.join();
}

void FakeNode::meddle(Meddler meddler) {
  const std::lock_guard lock(mutex_);
  meddler_ = std::move(meddler);
}

void FakeNode::restore_by(std::function<std::string(const std::string&)> restore) {
  const std::lock_guard lock(mutex_);
  restore_ = std::move(restore);
}

void FakeNode::set_polls(int polls) {
  const std::lock_guard lock(mutex_);
  polls_ = polls;
}

void FakeNode::finish() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, job] : jobs_) job.state = "done";
}

void FakeNode::forget_uploads() {
  const std::lock_guard lock(mutex_);
  uploads_.clear();
}

void FakeNode::forget_jobs() {
  const std::lock_guard lock(mutex_);
  jobs_.clear();
}

int FakeNode::count(const std::string& op) const { return static_cast<int>(requests(op).size()); }

std::string FakeNode::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

std::vector<json> FakeNode::requests(const std::string& op) const {
  const std::lock_guard lock(mutex_);
  std::vector<json> chosen;
  std::copy_if(requests_.begin(), requests_.end(), std::back_inserter(chosen), [&](const json& one) { return one["op"] == op; });
  return chosen;
}

std::uint64_t FakeNode::uploaded() const {
  const std::lock_guard lock(mutex_);
  return uploaded_;
}

int FakeNode::restored() const {
  const std::lock_guard lock(mutex_);
  return restored_;
}

std::vector<std::string> FakeNode::states() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> states;
  for (const auto& [id, job] : jobs_) states.push_back(job.state);
  return states;
}

FakeNode::Reply FakeNode::failure(const std::string& code, const std::string& message) {
  return {{{"ok", false}, {"error", {{"code", code}, {"message", message}, {"remedy", ""}}}}, {}};
}

void FakeNode::serve() {
  while (!is_stopping_) {
    std::vector<zmq::message_t> frames;
    do {
      zmq::message_t frame;
      if (!socket_.recv(frame)) break;
      frames.push_back(std::move(frame));
    } while (frames.back().more());
    if (frames.size() >= 2) answer(frames);
  }
}

void FakeNode::answer(std::vector<zmq::message_t>& frames) {
  const json request = json::parse(frames[1].to_string_view());
  const std::string content = frames.size() > 2 ? frames[2].to_string() : std::string();
  std::optional<Reply> reply;
  Meddler meddler;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    received_ += frames[1].to_string() + content;
    if (request["op"] == "upload") uploaded_ += content.size();
    reply = act(request, content);
    meddler = meddler_;
  }
  if (meddler) meddler(request, reply);
  if (!reply) return;
  reply->body["v"] = 1;
  if (!reply->body.contains("id")) reply->body["id"] = request.value("id", "");
  if (!reply->body.contains("ok")) reply->body["ok"] = true;
  const int times = reply->body.value("twice", false) ? 2 : 1;
  for (int i = 0; i < times; ++i) {
    const std::string text = reply->body.dump();
    socket_.send(zmq::buffer(frames[0].data(), frames[0].size()), zmq::send_flags::sndmore);
    socket_.send(zmq::buffer(text), reply->content.empty() ? zmq::send_flags::none : zmq::send_flags::sndmore);
    if (!reply->content.empty()) socket_.send(zmq::buffer(reply->content), zmq::send_flags::none);
  }
}

FakeNode::Reply FakeNode::act(const json& request, const std::string& content) {
  const std::string op = request["op"];
  if (op == "upload") return upload(request, content);
  if (op == "submit") return submit(request);
  if (op == "status") return status(request);
  if (op == "fetch") return fetch(request);
  if (op == "cancel") {
    const auto job = jobs_.find(request["job"]);
    if (job == jobs_.end()) return failure("unknown_job");
    job->second.state = "cancelled";
    return status(request);
  }
  return {json::object(), {}};
}

FakeNode::Reply FakeNode::upload(const json& request, const std::string& content) {
  std::string& there = uploads_[request["sha256"]];
  const std::uint64_t size = request["size"];
  if (!content.empty() && request.value("offset", std::uint64_t{0}) == there.size()) there += content;
  const bool is_complete = there.size() == size && sha256_of(there) == request["sha256"];
  return {{{"have", there.size()}, {"complete", is_complete}}, {}};
}

FakeNode::Reply FakeNode::submit(const json& request) {
  for (const auto& [id, job] : jobs_) {
    if (job.key == request["key"]) return {{{"job", id}, {"duplicate", true}}, {}};
  }
  const auto picture = uploads_.find(request["content"]);
  if (picture == uploads_.end() || sha256_of(picture->second) != request["content"]) return failure("input_missing");
  Job job;
  job.key = request["key"];
  job.result = restore_(picture->second);
  job.polls = polls_;
  jobs_[next_job_] = job;
  ++restored_;
  return {{{"job", next_job_++}, {"duplicate", false}}, {}};
}

FakeNode::Reply FakeNode::status(const json& request) {
  const auto found = jobs_.find(request["job"]);
  if (found == jobs_.end()) return failure("unknown_job");
  Job& job = found->second;
  if (job.state == "running" && job.polls-- <= 0) job.state = "done";
  json object{{"id", found->first}, {"state", job.state}};
  if (job.state == "running") object["progress"] = {{"stage", "infer"}, {"done", 10 - job.polls}, {"total", 20}};
  if (job.state == "done") object.update({{"sha256", sha256_of(job.result)}, {"size", job.result.size()}});
  return {{{"job", object}}, {}};
}

FakeNode::Reply FakeNode::fetch(const json& request) {
  const auto found = jobs_.find(request["job"]);
  if (found == jobs_.end()) return failure("unknown_job");
  const std::string& whole = found->second.result;
  const std::uint64_t offset = request.value("offset", std::uint64_t{0});
  if (offset > whole.size()) return failure("invalid_request");
  const std::string part = whole.substr(offset, request.value("length", std::uint64_t{1} << 24));
  return {{{"job", found->first},
           {"offset", offset},
           {"length", part.size()},
           {"size", whole.size()},
           {"sha256", sha256_of(whole)},
           {"last", offset + part.size() == whole.size()}},
          part};
}

}  // namespace retouchd::cloud
