#include "daemon/http_server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "loopback_http.h"

namespace retouchd::daemon {
namespace {

using testing::HasSubstr;

HttpResponse text(std::string body) { return {200, "text/plain", std::move(body)}; }

std::vector<HttpRoute> routes() {
  return {
      {"GET", "/fast", [](const HttpRequest&) { return text("fast"); }, /*may_block=*/false},
      {"GET", "/pooled", [](const HttpRequest& request) { return text("pooled " + request.query); }},
      {"POST", "/echo", [](const HttpRequest& request) { return text(request.content_type + ": " + request.body); }},
      {"GET", "/broken", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("broken"); }},
  };
}

std::string error_code(const LoopbackClient::Response& response) {
  return nlohmann::json::parse(response.body()).at("error").at("code").get<std::string>();
}

TEST(HttpServer, AnswersOneRequestAfterTheOtherOnAConnection) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  for (int i = 0; i < 3; ++i) {
    const auto response = client.get("/pooled?n=" + std::to_string(i));
    EXPECT_EQ(response.result_int(), 200u);
    EXPECT_EQ(response.body(), "pooled n=" + std::to_string(i));
    EXPECT_EQ(response["X-Content-Type-Options"], "nosniff");
    EXPECT_TRUE(response.keep_alive());
  }
}

TEST(HttpServer, AnswersPipelinedRequestsInTheirOrder) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all +=
        "GET /pooled?" + std::to_string(i) + " HTTP/1.1\r\nHost: localhost\r\n\r\nGET /fast HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }
  client.send(all);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.receive().body(), "pooled " + std::to_string(i));
    EXPECT_EQ(client.receive().body(), "fast");
  }
}

TEST(HttpServer, HandsOverTheBodyOfAPost) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: text/x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(client.receive().body(), "text/x: hello");
}

TEST(HttpServer, AnswersHeadWithTheHeaderOfGetAndNoBody) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("HEAD /fast HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto head = client.receive(/*head=*/true);
  EXPECT_EQ(head.result_int(), 200u);
  EXPECT_EQ(head["Content-Length"], "4");
  EXPECT_EQ(client.get("/fast").body(), "fast") << "nothing may follow the header of the answer to HEAD";
}

TEST(HttpServer, ClosesWhenThePeerAsksForIt) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("GET /fast HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().body(), "fast");
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, NamesAnUnknownPath) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  const auto response = client.get("/nothing%00here");
  EXPECT_EQ(response.result_int(), 404u);
  EXPECT_EQ(error_code(response), "not_found");
  EXPECT_EQ(client.get("/fast").result_int(), 200u) << "the connection stays usable";
}

TEST(HttpServer, NamesTheMethodsOfAPathWhenAnotherIsUsed) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("DELETE /fast HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto refused = client.receive();
  EXPECT_EQ(refused.result_int(), 405u);
  EXPECT_EQ(refused["Allow"], "GET, HEAD");
  client.send("BREW /echo HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.receive()["Allow"], "POST");
}

TEST(HttpServer, AnswersGarbageWithBadRequestAndCloses) {
  LoopbackServer server(routes());
  for (const std::string& garbage :
       {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15), std::string("hello\r\n\r\n"),
        std::string("GET /fast HTTP/9.9\r\n\r\n"), std::string("GET /fast HTTP/1.1\r\nHost localhost\r\n\r\n"),
        std::string("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n")}) {
    LoopbackClient client(server.port());
    client.send(garbage);
    const auto response = client.receive();
    EXPECT_EQ(response.result_int(), 400u) << garbage;
    EXPECT_EQ(error_code(response), "invalid_request");
    EXPECT_TRUE(client.is_closed()) << garbage;
  }
}

TEST(HttpServer, RefusesAHeaderBeyondTheLimit) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("GET /fast HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(client.receive().result_int(), 431u);
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, RefusesABodyBeyondTheLimit) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n");
  EXPECT_EQ(client.receive().result_int(), 413u);
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, RefusesNamesThatAreNotLoopback) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  client.send("GET /fast HTTP/1.1\r\nHost: rebound.example:9464\r\n\r\n");
  EXPECT_EQ(error_code(client.receive()), "forbidden_host");
  client.send("GET /fast HTTP/1.1\r\nHost: localhost\r\nOrigin: https://page.example\r\n\r\n");
  EXPECT_EQ(error_code(client.receive()), "forbidden_origin");
  client.send("GET /fast HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive().result_int(), 400u);
  client.send("GET /fast HTTP/1.1\r\nHost: LocalHost:1\r\nOrigin: http://127.0.0.1:9464\r\n\r\n");
  EXPECT_EQ(client.receive().result_int(), 200u);
}

TEST(HttpServer, DisconnectsAPeerThatDoesNotFinishItsRequest) {
  HttpServerOptions options;
  options.timeout = std::chrono::milliseconds(50);
  LoopbackServer server(routes(), options);
  LoopbackClient slow(server.port());
  slow.send("GET /fast HTTP/1.1\r\nHost: loc");
  EXPECT_TRUE(slow.is_closed());
  LoopbackClient silent(server.port());
  EXPECT_TRUE(silent.is_closed());
}

TEST(HttpServer, GivesUpTheConnectionThatWaitedLongestWhenThereAreTooMany) {
  HttpServerOptions options;
  options.max_connections = 2;
  options.timeout = std::chrono::minutes(5);
  LoopbackServer server(routes(), options);
  LoopbackClient first(server.port());
  EXPECT_EQ(first.get("/fast").body(), "fast");
  LoopbackClient second(server.port());
  EXPECT_EQ(second.get("/fast").body(), "fast");
  LoopbackClient third(server.port());
  EXPECT_EQ(third.get("/fast").body(), "fast");
  EXPECT_TRUE(first.is_closed());
  EXPECT_EQ(second.get("/fast").body(), "fast");
}

TEST(HttpServer, AnswersWhileAnotherHandlerBlocks) {
  std::promise<void> entered;
  std::promise<void> release;
  auto table = routes();
  table.push_back({"GET", "/blocked", [&](const HttpRequest&) {
                     entered.set_value();
                     release.get_future().wait();
                     return text("late");
                   }});
  LoopbackServer server(std::move(table));
  LoopbackClient blocked(server.port());
  blocked.send("GET /blocked HTTP/1.1\r\nHost: localhost\r\n\r\n");
  entered.get_future().wait();
  LoopbackClient other(server.port());
  EXPECT_EQ(other.get("/fast").body(), "fast");
  EXPECT_EQ(other.get("/pooled").body(), "pooled ");
  release.set_value();
  EXPECT_EQ(blocked.receive().body(), "late");
}

TEST(HttpServer, TurnsAnExceptionIntoAnInternalError) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  const auto response = client.get("/broken");
  EXPECT_EQ(response.result_int(), 500u);
  EXPECT_THAT(response.body(), testing::Not(HasSubstr("broken"))) << "what went wrong inside is for the log only";
  EXPECT_EQ(client.get("/fast").result_int(), 200u);
}

TEST(HttpServer, ServesManyClientsAtTheSameTime) {
  LoopbackServer server(routes());
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      LoopbackClient client(server.port());
      for (int n = 0; n < 50; ++n) good += client.get(n % 2 == 0 ? "/fast" : "/pooled").result_int() == 200 ? 1 : 0;
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 400);
}

TEST(HttpServer, ClosesEveryConnectionWhenItStops) {
  LoopbackServer server(routes());
  LoopbackClient client(server.port());
  EXPECT_EQ(client.get("/fast").body(), "fast");
  server.stop();
  EXPECT_TRUE(client.is_closed());
}

TEST(HttpServer, ListensOnLoopbackOnly) {
  boost::asio::io_context io_context;
  for (const auto* listen :
       {"0.0.0.0:0", "192.0.2.1:9464", "[::]:0", "example.org:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "9464"}) {
    HttpServerOptions options;
    options.listen = listen;
    const auto server = HttpServer::start(io_context, options, {});
    ASSERT_FALSE(server.ok()) << listen;
    EXPECT_EQ(server.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(server.error().message, HasSubstr("http.listen: "));
  }
  for (const auto* listen : {"127.0.0.1:0", "127.1.2.3:0", "localhost:0"}) {
    HttpServerOptions options;
    options.listen = listen;
    EXPECT_TRUE(HttpServer::start(io_context, options, {}).ok()) << listen;
  }
}

TEST(HttpServer, SaysThatItsPortIsInUse) {
  LoopbackServer server(routes());
  boost::asio::io_context io_context;
  HttpServerOptions options;
  options.listen = "127.0.0.1:" + std::to_string(server.port());
  const auto second = HttpServer::start(io_context, options, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("in use"));
}

}  // namespace
}  // namespace retouchd::daemon
