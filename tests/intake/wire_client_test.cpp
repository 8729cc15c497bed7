#include "intake/wire/client.h"

#include <set>

#include "zmq_fixture.h"

namespace retouchd::intake {
namespace {

using namespace std::chrono_literals;

struct ClientTest : ZmqFixture {
  std::unique_ptr<wire::Client> connect() {
    auto client = wire::Client::connect(sockets.requests);
    EXPECT_TRUE(client.ok());
    return std::move(*client);
  }
};

TEST_F(ClientTest, MissesNoEventAfterListening) {
  start();
  const auto client = connect();
  const std::string all = "job.";
  ASSERT_TRUE(client->listen(sockets.events, {&all, 1}, 10s).ok());
  auto submitted = client->call(wire::Submit{.path = folder.write("a.jpg", "picture").string()}, 10s);
  ASSERT_TRUE(submitted.ok()) << submitted.error().message;
  const auto incoming = client->next(10s);
  const auto* event = std::get_if<wire::Event>(&incoming);
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->body["kind"], "accepted");
  EXPECT_EQ(event->body["job"], submitted->body["job"]);
}

TEST_F(ClientTest, ManyRequestsUnderWayAreToldApartByTheirIds) {
  start();
  const auto client = connect();
  const auto path = folder.write("a.jpg", "picture").string();
  constexpr int kCount = 3'000;
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(client->send({std::to_string(i), wire::Ping{}}).ok());
  std::set<std::string> ids;
  while (static_cast<int>(ids.size()) < kCount) {
    const auto incoming = client->next(10s);
    const auto* reply = std::get_if<wire::Reply>(&incoming);
    ASSERT_NE(reply, nullptr) << ids.size();
    ids.insert(reply->id);
  }
}

TEST_F(ClientTest, ADaemonThatIsAwayIsUnreachable) {
  const auto client = connect();
  const auto reply = client->call(wire::Ping{}, 50ms);
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.error().code, ErrorCode::kUnreachable);
}

TEST_F(ClientTest, ADaemonThatComesLateIsFound) {
  const auto client = connect();
  ASSERT_TRUE(client->send({"early", wire::Ping{}}).ok());
  start();
  const auto incoming = client->next(10s);
  ASSERT_TRUE(std::holds_alternative<wire::Reply>(incoming));
  EXPECT_EQ(std::get<wire::Reply>(incoming).id, "early");
}

}  // namespace
}  // namespace retouchd::intake
