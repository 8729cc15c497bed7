#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "intake/zmq_server.h"
#include "tests/intake/memory_job_store.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {

/// The real server and sockets before a store in memory.
struct ZmqFixture : testing::Test {
  TemporaryFolder folder;
  MemoryJobStore store;
  EventPublisher publisher;
  config::Limits limits;
  config::ZeroMq sockets;
  std::atomic<bool> draining{false};
  std::unique_ptr<Admission> admission;
  std::unique_ptr<ZmqServer> server;

  ZmqFixture() {
    sockets.requests = "ipc://" + (folder.path() / "run/requests.sock").string();
    sockets.events = "ipc://" + (folder.path() / "run/events.sock").string();
    sockets.max_message = mebibytes(1);
    store.set_listener([this](const std::vector<queue::JobEvent>& events) { publisher.publish(events); });
  }
  ~ZmqFixture() override {
    server.reset();
    store.set_listener({});
  }

  void start() {
    Admission::Hooks hooks;
    hooks.networks = [] { return std::vector<std::string>{"student-tiny", "identity"}; };
    hooks.draining = [this] { return draining.load(); };
    admission = std::make_unique<Admission>(Admission::Options{folder.path() / "state", limits, "student-tiny"}, store, hooks);
    ZmqHooks zmq_hooks;
    zmq_hooks.models = [] { return nlohmann::json::array({{{"name", "student-tiny"}, {"task", "denoise"}}}); };
    zmq_hooks.stats = [] { return nlohmann::json{{"fairness", 0.75}}; };
    zmq_hooks.health = [] { return nlohmann::json{{"device", "cpu"}}; };
    auto started = ZmqServer::start({sockets, "1.2.3"}, store, *admission, publisher, std::move(zmq_hooks));
    ASSERT_TRUE(started.ok()) << started.error().message;
    server = std::move(*started);
  }
};

}  // namespace retouchd::intake
