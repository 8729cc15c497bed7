#include "base/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fake_http_server.h"

namespace retouchd {
namespace {

using ::testing::HasSubstr;
using Message = FakeHttpServer::Message;
using Reply = FakeHttpServer::Reply;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// Says back what it was asked.
Reply echo(const Message& message) {
  return {200,
          std::string(message.method_string()) + " " + std::string(message.target()) + " " + message.body(),
          {{"X-Kind", "echo"}},
          {},
          {}};
}

TEST(HttpClient, SendsTheBodyInPartsAndReadsTheAnswer) {
  FakeHttpServer server(echo);
  HttpClient client;
  const auto answer = client.send(
      {HttpRequest::Method::kPost, server.url() + "/here", {{"X-Two", "2"}}, {bytes_of("one, "), {}, bytes_of("two")}});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ(answer->text(), "POST /here one, two");
  EXPECT_EQ(answer->header("x-kind"), "echo");
  EXPECT_EQ(answer->header("x-none"), "");
}

TEST(HttpClient, KeepsTheConnectionForTheNextCall) {
  FakeHttpServer server(echo);
  HttpClient client;
  const std::string large(5 << 20, 'x');
  for (int call = 0; call < 3; ++call) {
    const auto answer =
        client.send({HttpRequest::Method::kPost, server.url() + "/", {}, {bytes_of(large)}}, {.answer = mebibytes(6)});
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->body.size(), large.size() + 7);
  }
  EXPECT_TRUE(client.send({.url = server.url() + "/again"}).ok());
  EXPECT_EQ(server.connections(), 1U);
}

TEST(HttpClient, AnErrorStatusIsAnAnswer) {
  FakeHttpServer server([](const Message&) { return Reply{503, "later", {}, {}, {}}; });
  const auto answer = HttpClient().send({.url = server.url()});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_FALSE(answer->ok());
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->text(), "later");
}

TEST(HttpClient, DoesNotFollowRedirects) {
  FakeHttpServer server([](const Message&) { return Reply{302, "", {{"Location", "http://127.0.0.1:1/"}}, {}, {}}; });
  const auto answer = HttpClient().send({.url = server.url()});
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 302);
}

TEST(HttpClient, NobodyListening) {
  const std::string url = "http://127.0.0.1:" + std::to_string(FakeHttpServer::unused_port()) + "/x";
  const auto answer = HttpClient().send({.url = url});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnreachable);
  EXPECT_THAT(answer.error().message, HasSubstr(url));
}

TEST(HttpClient, AServerThatDoesNotAnswerInTime) {
  FakeHttpServer server([](const Message&) { return Reply{.never = true}; });
  const auto answer = HttpClient().send({.url = server.url()}, {.total = std::chrono::milliseconds(50)});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kTimeout);
}

TEST(HttpClient, AnAnswerThatEndsEarly) {
  FakeHttpServer server([](const Message&) { return Reply{200, "short", {}, 100, {}}; });
  const auto answer = HttpClient().send({.url = server.url()});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnreachable);
}

TEST(HttpClient, AnAnswerThatIsTooLarge) {
  FakeHttpServer server([](const Message& message) {
    return message.target() == "/claims" ? Reply{200, "short", {}, std::uint64_t{1} << 50U, {}}
                                         : Reply{200, std::string(1'001, 'x'), {}, {}, {}};
  });
  for (const char* path : {"/claims", "/is"}) {
    const auto answer = HttpClient().send({.url = server.url() + path}, {.answer = Bytes{1'000}});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kIoError);
    EXPECT_THAT(answer.error().message, HasSubstr("larger than 1000 B"));
  }
}

TEST(HttpClient, AnAnswerOfExactlyTheLimitIsTaken) {
  FakeHttpServer server([](const Message&) { return Reply{200, std::string(1'000, 'x'), {}, {}, {}}; });
  EXPECT_TRUE(HttpClient().send({.url = server.url()}, {.answer = Bytes{1'000}}).ok());
}

TEST(HttpClient, CanBeCancelled) {
  FakeHttpServer server([](const Message&) { return Reply{.never = true}; });
  const std::atomic<bool> cancelled = true;
  const auto answer = HttpClient(&cancelled).send({.url = server.url()});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

TEST(HttpClient, OtherProtocolsAndBrokenHeadersAreRefused) {
  HttpClient client;
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "no address at all\r\n", ""}) {
    const auto answer = client.send({.url = url});
    ASSERT_FALSE(answer.ok()) << url;
    EXPECT_EQ(answer.error().code, ErrorCode::kInvalidRequest) << answer.error().message;
  }
  const auto answer = client.send({.url = "http://127.0.0.1:1/", .headers = {{"X-A", "1\r\nX-B: 2"}}});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace retouchd
