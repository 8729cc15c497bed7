#include "intake/guest_server.h"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <zmq.hpp>

#include "base/file.h"
#include "intake/wire/client.h"
#include "intake/wire/key_file.h"
#include "memory_job_store.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

std::span<const std::uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// A node before a store in memory, reached by real CURVE clients.
struct GuestServerTest : testing::Test {
  TemporaryFolder folder;
  MemoryJobStore store;
  config::Limits limits;
  config::Serve serve;
  wire::KeyPair node = *wire::make_key_pair();
  wire::KeyPair alice = *wire::make_key_pair();
  wire::KeyPair bob = *wire::make_key_pair();
  std::function<void()> progress;  ///< waits when the test wants that
  std::unique_ptr<Admission> admission;
  std::unique_ptr<GuestServer> server;

  GuestServerTest() {
    serve.listen = "tcp://127.0.0.1:*";
    serve.key = folder.path() / "serve.key";
    EXPECT_TRUE(wire::write_key_file(serve.key, node, false).ok());
    serve.clients = folder.write("serve.clients", alice.public_key + " alice\n" + bob.public_key + " bob\n");
  }
  ~GuestServerTest() override { server.reset(); }

  Result<void> try_start() {
    Admission::Hooks hooks;
    hooks.networks = [] { return std::vector<std::string>{"student-tiny", "identity"}; };
    Admission::Options options{state(), limits, "student-tiny"};
    options.cascade.policy = "hybrid";
    options.cascade.skip_good = true;
    options.serve = serve;
    admission = std::make_unique<Admission>(options, store, hooks);
    ZmqHooks zmq_hooks;
    zmq_hooks.health = [] { return json{{"device", "secret"}, {"ready", true}}; };
    zmq_hooks.progress = [this](queue::JobId) {
      if (progress) progress();
      return std::optional<json>();
    };
    auto started = GuestServer::start({serve, "1.2.3"}, store, *admission, zmq_hooks);
    if (!started) return started.error();
    server = *std::move(started);
    return {};
  }
  void start() {
    const auto started = try_start();
    ASSERT_TRUE(started.ok()) << started.error().message;
  }
  std::filesystem::path state() const { return folder.path() / "state"; }

  std::unique_ptr<wire::Client> connect(const wire::KeyPair& keys, const std::string& server_key) const {
    auto client = wire::Client::connect(server->endpoint(), wire::CurveKeys{server_key, keys.public_key, keys.secret_key});
    EXPECT_TRUE(client.ok());
    return *std::move(client);
  }
  std::unique_ptr<wire::Client> connect(const wire::KeyPair& keys) const { return connect(keys, node.public_key); }

  static json ask(wire::Client& client, const wire::Operation& operation, const std::string& part = {}) {
    const auto reply = client.call(operation, 20s, bytes(part));
    return reply ? reply->body : json{{"code", reply.error().name()}, {"message", reply.error().message}};
  }
  static wire::Upload upload_of(const std::string& whole, std::uint64_t offset = 0) {
    return {sha256_hex(bytes(whole)), whole.size(), offset};
  }
  /// The id of the job of an uploaded picture.
  static std::int64_t submit(wire::Client& client, const std::string& whole, const std::string& key = {}) {
    EXPECT_EQ(ask(client, upload_of(whole), whole)["complete"], true);
    const json reply = ask(client, wire::Submit{.content = upload_of(whole).sha256, .name = "a.png", .key = key});
    EXPECT_TRUE(reply.contains("job")) << reply;
    return reply.value("job", std::int64_t{0});
  }
};

/// A connection of Alice that sends what a well-behaved client never would.
struct RawGuest {
  zmq::context_t context;
  zmq::socket_t socket{context, zmq::socket_type::dealer};

  explicit RawGuest(const GuestServerTest& test, bool encrypted = true) {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 20'000);
    socket.set(zmq::sockopt::reconnect_ivl, 10);
    if (encrypted) {
      socket.set(zmq::sockopt::curve_serverkey, test.node.public_key);
      socket.set(zmq::sockopt::curve_publickey, test.alice.public_key);
      socket.set(zmq::sockopt::curve_secretkey, test.alice.secret_key);
    }
    socket.connect(test.server->endpoint());
  }
  void send(const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i)
      socket.send(zmq::buffer(frames[i]), i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
  }
  json receive() {
    zmq::message_t frame;
    if (!socket.recv(frame)) return json::object();
    return json::parse(frame.to_string_view());
  }
};

const std::string kPing = R"({"v":1,"op":"ping"})";

TEST_F(GuestServerTest, AKnownKeyIsToldWhatItNeedsAndNoMore) {
  start();
  const auto client = connect(alice);
  const json pong = ask(*client, wire::Ping{});
  EXPECT_EQ(pong, json({{"v", 1},
                        {"ok", true},
                        {"id", "call-1"},
                        {"version", "1.2.3"},
                        {"protocol", 1},
                        {"ready", true},
                        {"draining", false},
                        {"networks", {"student-tiny", "identity"}}}));
  EXPECT_EQ(server->denied(), 0U);
  EXPECT_EQ(server->clients(), 2U);
  EXPECT_EQ(server->public_key(), node.public_key);
}

TEST_F(GuestServerTest, AStrangerIsTurnedAway) {
  start();
  const wire::KeyPair stranger = *wire::make_key_pair();
  const auto client = connect(stranger);
  for (int i = 0; i < 400 && server->denied() == 0; ++i) EXPECT_FALSE(client->call(wire::Ping{}, 50ms).ok());
  EXPECT_GE(server->denied(), 1U);
  EXPECT_TRUE(ask(*connect(alice), wire::Ping{}).contains("ok")) << "others are served all the same";
}

TEST_F(GuestServerTest, NobodyTakesTheNodesPlaceOrSpeaksInTheClear) {
  start();
  const auto deceived = connect(alice, wire::make_key_pair()->public_key);
  RawGuest plain(*this, false);
  plain.send({kPing});
  EXPECT_EQ(deceived->call(wire::Ping{}, 300ms).error().code, ErrorCode::kUnreachable);
  plain.socket.set(zmq::sockopt::rcvtimeo, 300);
  EXPECT_TRUE(plain.receive().empty());
  EXPECT_TRUE(ask(*connect(alice), wire::Ping{}).contains("ok"));
}

TEST_F(GuestServerTest, AKeyThatIsTakenOffTheListIsRefusedAtOnce) {
  start();
  const auto of_alice = connect(alice);
  const auto of_bob = connect(bob);
  EXPECT_TRUE(ask(*of_alice, wire::Ping{}).contains("ok"));
  folder.write("serve.clients", bob.public_key + " robert\n");
  ASSERT_TRUE(server->reload_clients(serve.clients).ok());
  EXPECT_EQ(ask(*of_alice, wire::Ping{})["code"], "invalid_request");
  EXPECT_TRUE(ask(*of_bob, wire::Ping{}).contains("ok"));
  folder.write("serve.clients", "nonsense\n");
  const auto refused = server->reload_clients(serve.clients);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("line 1"));
  EXPECT_TRUE(ask(*of_bob, wire::Ping{}).contains("ok")) << "the old list stays";
}

TEST_F(GuestServerTest, APictureGoesThereAndBackInParts) {
  start();
  const auto client = connect(alice);
  std::string whole(2'500'000, '\0');
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<char>(i * i >> 7U);
  std::uint64_t have = ask(*client, upload_of(whole))["have"];
  while (have < whole.size())
    have = ask(*client, upload_of(whole, have), whole.substr(have, wire::kMaxPart.value))["have"].get<std::uint64_t>();
  EXPECT_EQ(ask(*client, upload_of(whole))["complete"], true);

  const wire::Submit wanted{.content = upload_of(whole).sha256,
                            .name = "a.png",
                            .network = "identity",
                            .key = "17:3",
                            .priority = 900,
                            .policy = "progressive",
                            .skip_good = true};
  const json submitted = ask(*client, wanted);
  ASSERT_TRUE(submitted.contains("job")) << submitted;
  EXPECT_EQ(ask(*client, wanted)["duplicate"], true);
  const queue::JobId id = submitted["job"];
  const auto request = store.get(id)->request;
  EXPECT_EQ(request.origin, "cloud:alice");
  EXPECT_EQ(request.key, "cloud:alice/17:3");
  EXPECT_EQ(request.policy, "local");
  EXPECT_EQ(request.network, "identity");
  EXPECT_EQ(request.priority, 0);
  EXPECT_FALSE(request.skip_good);
  EXPECT_FALSE(request.preview);
  EXPECT_TRUE(request.spooled);
  EXPECT_EQ(read_text(request.source), whole);
  EXPECT_EQ(request.identity, *identify_file(request.source));
  EXPECT_EQ(request.output.parent_path(), state() / "results");
  EXPECT_EQ(request.output.extension(), ".png");

  store.finish(id, folder.write("state/results/a.png", "result"), "result");
  const auto reply = client->call(wire::Fetch{.job = id}, 20s);
  ASSERT_TRUE(reply.ok()) << reply.error().message;
  EXPECT_EQ(reply->content, "result");
  EXPECT_EQ(reply->body["sha256"], sha256_hex(bytes("result")));
}

TEST_F(GuestServerTest, APictureWithoutAnUploadIsMissing) {
  start();
  const auto client = connect(alice);
  const wire::Submit wanted{.content = upload_of("never sent").sha256, .name = "a.png", .key = "k"};
  EXPECT_EQ(ask(*client, wanted)["code"], "input_missing");
  const auto other = connect(bob);
  submit(*other, "never sent");
  EXPECT_EQ(ask(*client, wanted)["code"], "input_missing") << "what others have sent stays theirs";
}

TEST_F(GuestServerTest, OtherPeoplesJobsAreNoJobs) {
  start();
  const auto of_alice = connect(alice);
  const auto of_bob = connect(bob);
  const auto id = submit(*of_alice, "picture", "k");
  EXPECT_NE(submit(*of_bob, "picture", "k"), id) << "keys of different clients have nothing to do with each other";
  queue::JobRequest local;
  local.key = "local";
  local.origin = "zmq";
  const auto of_nobody = store.accept_and_wait(local)->id;
  store.finish(id, folder.write("state/results/a.png", "result"), "result");
  const auto refusals = [&](queue::JobId job) {
    std::vector<std::string> all;
    for (const wire::Operation& operation : std::initializer_list<wire::Operation>{wire::Status{job}, wire::Events{job},
                                                                                   wire::Cancel{job}, wire::Fetch{.job = job}}) {
      const json reply = ask(*of_bob, operation);
      EXPECT_EQ(reply["code"], "unknown_job") << reply;
      all.push_back(reply.dump());
    }
    return all;
  };
  (void)refusals(of_nobody);
  const auto never = refusals(9);
  auto foreign = refusals(id);
  for (auto& text : foreign) text.replace(text.find(std::to_string(id)), std::to_string(id).size(), "9");
  EXPECT_EQ(foreign, never) << "word for word the same";
  EXPECT_EQ(store.get(of_nobody)->state, queue::JobState::kQueued);
  EXPECT_EQ(ask(*of_alice, wire::Status{id})["job"]["state"], "done");
}

TEST_F(GuestServerTest, WhatConcernsTheNodesFilesOrOthersIsRefused) {
  start();
  const auto client = connect(alice);
  const auto file = folder.write("private.jpg", "picture").string();
  const std::string hash = upload_of("x").sha256;
  for (const wire::Operation& operation :
       std::initializer_list<wire::Operation>{wire::Submit{.path = file}, wire::Submit{.path = "/nowhere.jpg"},
                                              wire::Submit{.content = hash, .name = "a.png", .output = "/tmp/"},
                                              wire::Submit{.content = hash, .name = "a.png", .overwrite = true}, wire::List{},
                                              wire::Retry{1}, wire::Models{}, wire::Stats{}}) {
    EXPECT_EQ(ask(*client, operation)["code"], "invalid_request") << wire::name_of(operation);
  }
  EXPECT_EQ(ask(*client, wire::Submit{.name = "a.png"}, "picture")["code"], "invalid_request");
  for (const std::string name : {"..", "../a.png", "/etc/a.png"})
    EXPECT_EQ(ask(*client, wire::Submit{.content = hash, .name = name})["code"], "invalid_request") << name;
  EXPECT_EQ((*store.counts())[0], 0);
}

TEST_F(GuestServerTest, NoAnswerShowsAPathOfTheNode) {
  start();
  const auto client = connect(alice);
  const auto id = submit(*client, "picture");
  const std::string file = (state() / "spool/a.png").string();
  store.change(id, "preview", R"({"path":")" + file + R"(","width":3})", [&](queue::Job& job) {
    job.preview = file;
    job.details = R"({"width":3,"companion":{"path":")" + file + R"("}})";
  });
  store.fail_job(id, make_error(ErrorCode::kIoError, "cannot read " + file + ": broken"));
  const json job = ask(*client, wire::Status{id})["job"];
  EXPECT_EQ(job["error"]["message"], "cannot read spool/a.png: broken");
  EXPECT_EQ(job["details"], json({{"width", 3}}));
  const json events = ask(*client, wire::Events{id})["events"];
  EXPECT_EQ(events[1]["width"], 3);
  EXPECT_EQ(events[2]["message"], "cannot read spool/a.png: broken");
  EXPECT_THAT(job.dump() + events.dump(), Not(HasSubstr(folder.path().string())));
  for (const char* field : {"source", "output", "preview", "origin"}) EXPECT_FALSE(job.contains(field)) << field;
}

TEST_F(GuestServerTest, MonstersAreRefusedOrCutOffAndHarmNobody) {
  start();
  RawGuest guest(*this);
  const std::string request = R"({"v":1,"op":"upload","size":9000000,"sha256":")" + upload_of("x").sha256 + R"("})";
  guest.send({request, std::string((1U << 20U) + 1U, 'x')});
  EXPECT_EQ(guest.receive()["error"]["code"], "picture_too_large");
  std::vector<std::string> many(100'000, "x");
  many.insert(many.begin(), request);
  guest.send(many);
  EXPECT_EQ(guest.receive()["error"]["code"], "invalid_request");
  guest.send({request, ""});
  EXPECT_EQ(guest.receive()["error"]["code"], "invalid_request");
  guest.send({request, std::string(5U << 20U, 'x')});  // ends the connection
  json pong;
  guest.socket.set(zmq::sockopt::rcvtimeo, 200);
  for (int i = 0; i < 100 && pong.empty(); ++i) {
    guest.send({kPing});
    pong = guest.receive();
  }
  EXPECT_EQ(pong["ok"], true) << "connected again";
  EXPECT_TRUE(ask(*connect(bob), wire::Ping{}).contains("ok"));
}

TEST_F(GuestServerTest, AGuestThatAsksWithoutPauseIsToldToWaitAndOthersAreNot) {
  start();
  const auto id = submit(*connect(alice), "picture");
  store.change(id, "started", "{}", [](queue::Job& job) { job.state = queue::JobState::kRunning; });
  std::promise<void> go_on;
  progress = [go_on = go_on.get_future().share()] { go_on.wait(); };
  RawGuest eager(*this);
  constexpr int kSent = 200, kAtOnce = 128;
  const std::string status = R"({"v":1,"op":"status","job":)" + std::to_string(id) + "}";
  for (int i = 0; i < kSent; ++i) eager.send({status});
  for (int i = kAtOnce; i < kSent; ++i) EXPECT_EQ(eager.receive()["error"]["code"], "busy") << i;
  EXPECT_TRUE(ask(*connect(bob), wire::Ping{}).contains("ok"));
  go_on.set_value();
  for (int i = 0; i < kAtOnce; ++i) EXPECT_EQ(eager.receive()["ok"], true) << i;
}

TEST_F(GuestServerTest, UploadsBeyondTheDiskAreRefusedForNow) {
  serve.disk = mebibytes(1);
  start();
  const auto client = connect(alice);
  const json refused = ask(*client, wire::Upload{upload_of("x").sha256, 2'000'000, 0}, "x");
  EXPECT_EQ(refused["code"], "disk_full");
  EXPECT_THAT(refused["message"].get<std::string>(), HasSubstr("serve.disk is 1 MiB"));
}

TEST_F(GuestServerTest, StartsOnlyWithKeysAListAndAFreeAddress) {
  start();
  const std::string taken = server->endpoint();
  const auto refusal = [this](const config::Serve& other) {
    const auto second = GuestServer::start({other, "1.2.3"}, store, *admission, {});
    EXPECT_FALSE(second.ok());
    return second ? "" : second.error().message;
  };
  auto other = serve;
  other.listen = taken;
  EXPECT_THAT(refusal(other), HasSubstr("serve.listen: cannot listen on " + taken));
  other = serve;
  other.key = folder.path() / "none.key";
  EXPECT_THAT(refusal(other), HasSubstr("serve.key: key file " + other.key.string()));
  other = serve;
  other.clients = folder.write("bad.clients", "x\n");
  EXPECT_THAT(refusal(other), HasSubstr("line 1"));
}

TEST_F(GuestServerTest, StopAnswersWhatIsUnderWay) {
  start();
  const auto client = connect(alice);
  const auto id = submit(*client, "picture");
  store.change(id, "started", "{}", [](queue::Job& job) { job.state = queue::JobState::kRunning; });
  std::promise<void> asked, go_on;
  progress = [&asked, go_on = go_on.get_future().share()] {
    asked.set_value();
    go_on.wait();
  };
  ASSERT_TRUE(client->send({"last", wire::Status{id}}).ok());
  asked.get_future().wait();
  auto stopped = std::async(std::launch::async, [this] { server->stop(20s); });
  go_on.set_value();
  const auto incoming = client->next(20s);
  ASSERT_TRUE(std::holds_alternative<wire::Reply>(incoming));
  EXPECT_EQ(std::get<wire::Reply>(incoming).id, "last");
  stopped.wait();
}

TEST_F(GuestServerTest, ServesIpv6WhereThereIsSome) {
  serve.listen = "tcp://[::1]:*";
  if (const auto started = try_start(); !started) GTEST_SKIP() << started.error().message;
  EXPECT_TRUE(ask(*connect(alice), wire::Ping{}).contains("ok"));
}

}  // namespace
}  // namespace retouchd::intake
