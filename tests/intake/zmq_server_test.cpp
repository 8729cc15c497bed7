#include "intake/zmq_server.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <zmq.hpp>

#include "intake/wire/reply.h"
#include "zmq_fixture.h"

namespace retouchd::intake {
namespace {

using nlohmann::json;
using testing::HasSubstr;

struct ZmqServerTest : ZmqFixture {
  zmq::context_t context;

  zmq::socket_t connect(zmq::socket_type type) {
    zmq::socket_t socket(context, type);
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::rcvtimeo, 20'000);
    socket.connect(type == zmq::socket_type::sub ? sockets.events : sockets.requests);
    return socket;
  }

  static void send(zmq::socket_t& socket, const std::vector<std::string>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
      socket.send(zmq::buffer(frames[i]), i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none);
    }
  }
  static std::vector<std::string> receive(zmq::socket_t& socket) {
    std::vector<std::string> frames;
    zmq::message_t frame;
    do {
      if (!socket.recv(frame)) return {"{}"};
      frames.push_back(frame.to_string());
    } while (frame.more());
    return frames;
  }
  static json ask(zmq::socket_t& socket, json request, const std::string* content = nullptr) {
    request["v"] = 1;
    if (content != nullptr)
      send(socket, {request.dump(), *content});
    else
      send(socket, {request.dump()});
    return json::parse(receive(socket)[0]);
  }
  std::string picture(const std::string& name = "a.jpg") { return folder.write(name, "picture").string(); }
};

TEST_F(ZmqServerTest, AReqClientGetsEveryOperationAnswered) {
  start();
  auto req = connect(zmq::socket_type::req);
  const json pong = ask(req, {{"op", "ping"}, {"id", "1"}});
  EXPECT_EQ(pong["ok"], true);
  EXPECT_EQ(pong["id"], "1");
  EXPECT_EQ(pong["version"], "1.2.3");
  EXPECT_EQ(pong["device"], "cpu");
  EXPECT_EQ(pong["events"], sockets.events);
  EXPECT_EQ(pong["draining"], false);
  EXPECT_EQ(pong["jobs"]["queued"], 0);
  EXPECT_EQ(ask(req, {{"op", "stats"}})["fairness"], 0.75);

  const json submitted = ask(req, {{"op", "submit"}, {"path", picture()}, {"priority", 5}});
  ASSERT_EQ(submitted["ok"], true) << submitted;
  EXPECT_EQ(submitted["id"], nullptr);
  EXPECT_EQ(submitted["job"], 1);
  EXPECT_EQ(submitted["duplicate"], false);
  EXPECT_EQ(submitted["output"], (folder.path() / "a_restored.jpg").string());

  const json status = ask(req, {{"op", "status"}, {"job", 1}});
  EXPECT_EQ(status["job"]["state"], "queued");
  EXPECT_EQ(status["job"]["priority"], 5);
  EXPECT_EQ(ask(req, {{"op", "events"}, {"job", 1}})["events"][0]["kind"], "accepted");
  EXPECT_TRUE(ask(req, {{"op", "events"}, {"job", 1}, {"since", 1}})["events"].empty());
  EXPECT_EQ(ask(req, {{"op", "cancel"}, {"job", 1}})["job"]["state"], "cancelled");
  EXPECT_EQ(ask(req, {{"op", "retry"}, {"job", 1}})["job"]["state"], "queued");
  const json models = ask(req, {{"op", "models"}});
  EXPECT_EQ(models["models"][0]["name"], "student-tiny");
  EXPECT_EQ(models["default"], "student-tiny");
}

TEST_F(ZmqServerTest, RefusalsCarryCodeReasonAndRemedy) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const auto refusal = [&](const json& request) { return ask(dealer, request)["error"]; };
  const json missing = refusal({{"op", "submit"}, {"path", (folder.path() / "none.jpg").string()}});
  EXPECT_EQ(missing["code"], "input_missing");
  EXPECT_THAT(missing["message"].get<std::string>(), HasSubstr("none.jpg"));
  EXPECT_FALSE(missing["remedy"].get<std::string>().empty());
  EXPECT_EQ(refusal({{"op", "submit"}, {"path", folder.write("empty.jpg", "").string()}})["code"], "input_empty");
  EXPECT_EQ(refusal({{"op", "submit"}, {"path", folder.path().string()}})["code"], "input_unreadable");
  EXPECT_EQ(refusal({{"op", "submit"}, {"path", picture()}, {"network", "big"}})["code"], "unknown_network");
  EXPECT_EQ(refusal({{"op", "status"}, {"job", 77}})["code"], "unknown_job");
  EXPECT_EQ(refusal({{"op", "events"}, {"job", 77}})["code"], "unknown_job");
  EXPECT_EQ(refusal({{"op", "list"}, {"state", "nonsense"}})["code"], "invalid_request");
}

TEST_F(ZmqServerTest, MalformedMessagesAreAnsweredAndHarmNobody) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const std::vector<std::vector<std::string>> bad{{"{"},
                                                  {""},
                                                  {"", "{"},
                                                  {"[1]"},
                                                  {"\xff\xfe"},
                                                  {"", ""},
                                                  {R"({"v":2,"op":"ping"})"},
                                                  {R"({"v":1,"op":"ping"})", "content"},
                                                  {R"({"v":1,"op":"ping"})", "a", "b", "c", "d", "e", "f"},
                                                  {std::string(70'000, 'x')},
                                                  {R"({"v":1,"op":"pnig"})"}};
  for (const auto& frames : bad) {
    send(dealer, frames);
    const auto reply = receive(dealer);
    const json body = json::parse(reply.back());
    EXPECT_EQ(body["ok"], false);
    EXPECT_EQ(body["error"]["code"], "invalid_request") << body;
  }
  EXPECT_EQ(ask(dealer, {{"op", "ping"}})["ok"], true);
}

TEST_F(ZmqServerTest, APictureTravelsBothWaysAsAFrame) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const std::string content = "the picture's bytes";
  const json submitted = ask(dealer, {{"op", "submit"}, {"name", "x.png"}, {"key", "k"}}, &content);
  ASSERT_EQ(submitted["ok"], true) << submitted;
  EXPECT_EQ(ask(dealer, {{"op", "submit"}, {"name", "x.png"}, {"key", "k"}}, &content)["duplicate"], true);
  const auto job = store.get(1);
  EXPECT_EQ(*sha256_hex_of_file(job->request.source),
            sha256_hex({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()}));
  EXPECT_EQ(ask(dealer, {{"op", "fetch"}, {"job", 1}})["error"]["code"], "invalid_request") << "not done yet";

  const std::string result(3'000'000, 'r');
  store.finish(1, folder.write("result.png", result), result);
  std::string fetched;
  bool last = false;
  while (!last) {
    send(dealer, {json{{"v", 1}, {"op", "fetch"}, {"job", 1}, {"offset", fetched.size()}, {"length", 1'000'000}}.dump()});
    const auto frames = receive(dealer);
    ASSERT_EQ(frames.size(), 2U) << frames[0];
    fetched += frames[1];
    last = json::parse(frames[0])["last"].get<bool>();
  }
  EXPECT_EQ(fetched, result);
  EXPECT_EQ(ask(dealer, {{"op", "fetch"}, {"job", 1}, {"offset", 4'000'000}})["error"]["code"], "invalid_request");
  folder.write("result.png", "changed");
  EXPECT_EQ(ask(dealer, {{"op", "fetch"}, {"job", 1}})["error"]["code"], "input_changed");
}

TEST_F(ZmqServerTest, APictureThatIsTooLargeForAFrameComesInParts) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const std::string content(1'500'000, 'x');
  const std::string sha256 = sha256_hex({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  const json upload{{"op", "upload"}, {"sha256", sha256}, {"size", content.size()}};
  EXPECT_EQ(ask(dealer, upload)["have"], 0);
  const std::string first = content.substr(0, 1'000'000), second = content.substr(1'000'000);
  EXPECT_EQ(ask(dealer, upload, &first)["have"], 1'000'000);
  json rest = upload;
  rest["offset"] = 1'000'000;
  EXPECT_EQ(ask(dealer, rest, &second)["complete"], true);
  const json submitted = ask(dealer, {{"op", "submit"}, {"content", sha256}, {"name", "x.png"}});
  ASSERT_EQ(submitted["ok"], true) << submitted;
  const auto job = store.get(submitted["job"]);
  EXPECT_EQ(job->request.origin, "zmq");
  EXPECT_EQ(*sha256_hex_of_file(job->request.source), sha256);
  const json missing = ask(dealer, {{"op", "submit"}, {"content", std::string(64, '0')}, {"name", "x.png"}});
  EXPECT_EQ(missing["error"]["code"], "input_missing");
}

TEST_F(ZmqServerTest, AFrameBeyondTheLimitIsRefusedWithAReason) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const std::string content(1'500'000, 'x');
  const json reply = ask(dealer, {{"op", "submit"}, {"name", "x.png"}, {"id", "big"}}, &content);
  EXPECT_EQ(reply["id"], "big");
  EXPECT_EQ(reply["error"]["code"], "picture_too_large");
  EXPECT_THAT(reply["error"]["message"].get<std::string>(), HasSubstr("by path"));
}

TEST_F(ZmqServerTest, TwoClientsGetTheirOwnAnswers) {
  start();
  auto one = connect(zmq::socket_type::dealer);
  auto two = connect(zmq::socket_type::req);
  const auto path = picture();
  for (int i = 0; i < 200; ++i)
    send(one, {json{{"v", 1}, {"id", "one-" + std::to_string(i)}, {"op", "submit"}, {"path", path}}.dump()});
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(ask(two, {{"op", "ping"}, {"id", "two-" + std::to_string(i)}})["id"], "two-" + std::to_string(i));
  std::int64_t before = 0;
  for (int i = 0; i < 200; ++i) {
    const json reply = json::parse(receive(one)[0]);
    EXPECT_EQ(reply["id"], "one-" + std::to_string(i));
    EXPECT_GT(reply["job"].get<std::int64_t>(), before) << "submits of one client keep their order";
    before = reply["job"].get<std::int64_t>();
  }
}

TEST_F(ZmqServerTest, ListsInPages) {
  start();
  auto req = connect(zmq::socket_type::req);
  const auto path = picture();
  for (int i = 0; i < 5; ++i) ask(req, {{"op", "submit"}, {"path", path}});
  const json first = ask(req, {{"op", "list"}, {"limit", 3}});
  ASSERT_EQ(first["jobs"].size(), 3U);
  EXPECT_EQ(first["jobs"][0]["id"], 5);
  EXPECT_EQ(first["next"], 3);
  const json second = ask(req, {{"op", "list"}, {"limit", 3}, {"after", 3}});
  EXPECT_EQ(second["jobs"].size(), 2U);
  EXPECT_EQ(second["next"], nullptr);
  EXPECT_TRUE(ask(req, {{"op", "list"}, {"state", "done"}})["jobs"].empty());
}

TEST_F(ZmqServerTest, ABusyDaemonSaysWhenToComeBack) {
  start();
  draining = true;
  auto req = connect(zmq::socket_type::req);
  const json reply = ask(req, {{"op", "submit"}, {"path", picture()}});
  EXPECT_EQ(reply["error"]["code"], "busy");
  EXPECT_EQ(reply["error"]["retry_after_ms"], 2'000);
  EXPECT_EQ(ask(req, {{"op", "ping"}})["draining"], true);
}

TEST_F(ZmqServerTest, AStoreThatRefusesIsPassedOn) {
  start();
  store.refuse(make_error(ErrorCode::kDiskFull, "no space left"));
  auto req = connect(zmq::socket_type::req);
  EXPECT_EQ(ask(req, {{"op", "submit"}, {"path", picture()}})["error"]["code"], "disk_full");
}

TEST_F(ZmqServerTest, EventsReachThoseWhoSubscribedToTheirTopic) {
  start();
  auto all = connect(zmq::socket_type::sub);
  auto second = connect(zmq::socket_type::sub);
  all.set(zmq::sockopt::subscribe, "job.");
  all.set(zmq::sockopt::subscribe, "hello.all");
  second.set(zmq::sockopt::subscribe, "job.2.");
  second.set(zmq::sockopt::subscribe, "hello.second");
  EXPECT_EQ(receive(all)[0], "hello.all");
  EXPECT_EQ(receive(second)[0], "hello.second");
  auto req = connect(zmq::socket_type::req);
  ask(req, {{"op", "submit"}, {"path", picture()}});
  ask(req, {{"op", "submit"}, {"path", picture()}});
  EXPECT_EQ(receive(all)[0], "job.1.accepted");
  EXPECT_EQ(receive(all)[0], "job.2.accepted");
  EXPECT_EQ(receive(second)[0], "job.2.accepted");
  publisher.publish({{2, 0, "progress", system_clock().now(), R"({"done":1,"total":4})"}});
  const auto progress = receive(second);
  EXPECT_EQ(progress[0], "job.2.progress");
  const json body = json::parse(progress[1]);
  EXPECT_EQ(body["n"], 3);
  EXPECT_EQ(body["seq"], 0);
  EXPECT_EQ(body["total"], 4);
}

TEST_F(ZmqServerTest, ASubscriberThatDoesNotReadHoldsNobodyUp) {
  start();
  auto deaf = connect(zmq::socket_type::sub);
  deaf.set(zmq::sockopt::rcvhwm, 1);
  deaf.set(zmq::sockopt::subscribe, "");
  deaf.set(zmq::sockopt::subscribe, "hello.deaf");
  receive(deaf);
  const std::vector<queue::JobEvent> many(
      1'000, {1, 1, "accepted", system_clock().now(), R"({"name":")" + std::string(500, 'x') + "\"}"});
  for (int i = 0; i < 60; ++i) publisher.publish(many);
  auto req = connect(zmq::socket_type::req);
  EXPECT_EQ(ask(req, {{"op", "ping"}})["ok"], true);
}

TEST_F(ZmqServerTest, StopAnswersWhatIsUnderWay) {
  start();
  auto dealer = connect(zmq::socket_type::dealer);
  const auto path = picture();
  for (int i = 0; i < 50; ++i) send(dealer, {json{{"v", 1}, {"op", "submit"}, {"path", path}}.dump()});
  receive(dealer);
  server->stop();
  const auto jobs = store.list({.state = {}, .origin = {}, .after = 0, .limit = 1'000})->size();
  dealer.set(zmq::sockopt::rcvtimeo, 1'000);
  std::size_t answers = 1;
  while (answers < jobs && receive(dealer)[0] != "{}") ++answers;
  EXPECT_EQ(answers, jobs) << "every job that was accepted was acknowledged";
}

TEST_F(ZmqServerTest, SocketsGetTheirModeAndItsOwnersAreNotDisplaced) {
  start();
  struct stat about {};
  ASSERT_EQ(::stat((folder.path() / "run/requests.sock").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0660U);
  Admission other({folder.path() / "other", limits, "student-tiny"}, store, {});
  EventPublisher events;
  const auto second = ZmqServer::start({sockets, "1"}, store, other, events, {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kBadConfig);
  EXPECT_THAT(second.error().message, HasSubstr("another retouchd answers there"));
  auto req = connect(zmq::socket_type::req);
  EXPECT_EQ(ask(req, {{"op", "ping"}})["ok"], true);
}

TEST_F(ZmqServerTest, AFileInTheWayIsLeftAlone) {
  folder.write("run/requests.sock", "precious");
  Admission other({folder.path() / "state", limits, "student-tiny"}, store, {});
  EventPublisher events;
  const auto refused = ZmqServer::start({sockets, "1"}, store, other, events, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("not a socket"));
  EXPECT_EQ(std::filesystem::file_size(folder.path() / "run/requests.sock"), 8U);
}

TEST_F(ZmqServerTest, ServesLoopbackTcp) {
  sockets.requests = "tcp://127.0.0.1:47381";
  sockets.events = "tcp://127.0.0.1:47382";
  start();
  auto req = connect(zmq::socket_type::req);
  EXPECT_EQ(ask(req, {{"op", "ping"}})["requests"], sockets.requests);
}

}  // namespace
}  // namespace retouchd::intake
