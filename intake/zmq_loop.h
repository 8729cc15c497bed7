#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <zmq.hpp>

#include "base/result.h"
#include "base/units.h"
#include "intake/asker.h"
#include "intake/wire/request.h"
#include "intake/zmq_feed.h"
#include "intake/zmq_frames.h"
#include "intake/zmq_operations.h"
#include "intake/zmq_outbox.h"
#include "intake/zmq_worker.h"

namespace retouchd::intake {

struct ZmqLoopOptions {
  std::string key;  ///< the configuration's name for the endpoint: "zmq.requests"
  std::string endpoint;
  std::uint32_t mode = 0660;  ///< of an ipc socket
  Bytes max_content;          ///< of the binary frame of a request; larger ones are refused
  std::string too_large;      ///< ends that refusal: what the limit is, and what to do
  std::string thread;         ///< its name

  std::size_t most_under_way = 2'048;   ///< below what the store lets wait, so that one eager client meets back-pressure
  std::size_t most_of_one = 2'048;      ///< requests of one asker under way; more are answered kBusy
  Bytes most_content = mebibytes(256);  ///< under way
  Bytes most_unsent = mebibytes(64);    ///< of replies that one asker does not take; then it gets only short answers

  /// Security and liveness of the socket, before it is bound.
  std::function<void(zmq::socket_t&)> prepare{};
  /// Whose request it is, by its last frame. An error is its answer. Empty: a program of this machine.
  std::function<Result<Asker>(zmq::message_t&)> asker_of{};
};

/// A ROUTER socket, the thread that owns it, and the workers that answer what comes; perhaps with a feed of events.
///
///   ROUTER -> parse -> worker of that client (files) or of the store -> operations -> outbox -> ROUTER
///   EventPublisher --------------------------------------------------------------> feed -> XPUB
///
/// The thread never waits for a disk; submits, uploads and fetches of one client run in its order on one of four workers,
/// everything else on one more. A submit is answered by the store's callback, so that many share one commit. When too much is
/// under way, requests stay in their socket: clients feel it as back-pressure.
///
/// Threads: all but stop() before start(); stop() from any.
class ZmqLoop {
 public:
  /// `context` belongs to the loop from start() on: it is closed when the loop ends.
  ZmqLoop(ZmqLoopOptions options, std::shared_ptr<ZmqOperations> operations, std::shared_ptr<ZmqOutbox> outbox,
          zmq::context_t& context);
  ~ZmqLoop();
  ZmqLoop(const ZmqLoop&) = delete;
  ZmqLoop& operator=(const ZmqLoop&) = delete;

  /// kBadConfig as bind_endpoint(), or because libzmq refuses an option.
  [[nodiscard]] Result<void> bind();
  /// The endpoint as bound: with its port when that was left to the system.
  [[nodiscard]] std::string endpoint() const;
  /// The loop serves the feed, too. `feed` is bound.
  void add(std::unique_ptr<ZmqFeed> feed) { feed_ = std::move(feed); }
  void start();
  /// Takes no more requests, answers those under way and publishes events that wait, each for at most `patience`; closes all.
  void stop(std::chrono::milliseconds patience);

 private:
  using TimePoint = std::chrono::steady_clock::time_point;
  using UnsentBytes = std::shared_ptr<std::atomic<std::uint64_t>>;
  struct Request;

  /// What is known about one asker. The loop's thread only, but for the bytes.
  struct Account {
    std::size_t under_way = 0;
    UnsentBytes unsent = std::make_shared<std::atomic<std::uint64_t>>(0);
  };

  void serve();
  void wait(bool hurry);
  void receive_requests();
  void take(ZmqFrames frames);
  [[nodiscard]] Result<void> check_content(const zmq::message_t& content) const;
  [[nodiscard]] Result<void> check_account(const wire::ParsedRequest& request, const Account& account) const;
  void dispatch(Request request);
  ZmqWorker& worker_for(const Request& request);
  void send_replies();
  void send(ZmqOutbox::Reply reply);
  void finish();
  [[nodiscard]] bool has_room() const {
    return under_way_ < options_.most_under_way && content_under_way_ < options_.most_content;
  }

  const ZmqLoopOptions options_;
  const std::shared_ptr<ZmqOutbox> outbox_;
  const std::shared_ptr<ZmqOperations> operations_;
  zmq::context_t& context_;
  zmq::socket_t router_;
  std::unique_ptr<ZmqFeed> feed_;
  std::size_t under_way_ = 0;  // requests without an answer; the loop's thread only, like the next three
  Bytes content_under_way_;
  std::uint64_t lost_replies_ = 0;
  std::map<std::string, Account> accounts_;  // by origin

  std::atomic<bool> stopping_{false};
  std::atomic<std::chrono::milliseconds> patience_{};
  std::vector<std::unique_ptr<ZmqWorker>> file_workers_;
  std::unique_ptr<ZmqWorker> store_worker_;
  std::thread thread_;
};

}  // namespace retouchd::intake
