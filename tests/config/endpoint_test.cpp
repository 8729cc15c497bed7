#include "config/endpoint.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "base/file.h"
#include "tests/temporary_folder.h"

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;

/// A socket that somebody listens at, until the result goes; its file stays.
[[nodiscard]] UniqueFd listen_at(const fs::path& path) {
  fs::create_directories(path.parent_path());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  EXPECT_LT(path.native().size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
  EXPECT_EQ(listen(fd.get(), 8), 0);
  return fd;
}

TEST(LoopbackAddress, TakesThisMachinesOwnAddresses) {
  const auto four = parse_loopback("127.0.0.1:9464");
  ASSERT_TRUE(four);
  EXPECT_EQ(four->host, "127.0.0.1");
  EXPECT_EQ(four->port, 9464);
  const auto six = parse_loopback("[::1]:65535");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, 65'535);
  EXPECT_TRUE(parse_loopback("127.255.0.3:1"));
  EXPECT_TRUE(parse_loopback("127.0.0.1:0"));
}

TEST(LoopbackAddress, RefusesEveryOtherAddress) {
  for (const char* text : {"0.0.0.0:9464", "192.168.1.2:9464", "8.8.8.8:80", "[::]:9464", "[fe80::1]:9464",
                           "[::ffff:127.0.0.1]:1", "example.org:80", "*:9464", "eth0:9464", "128.0.0.1:1", "2130706433:80"}) {
    const auto result = parse_loopback(text);
    ASSERT_FALSE(result) << text;
    EXPECT_NE(result.error().message.find("only this machine's own addresses"), std::string::npos) << text;
  }
}

TEST(LoopbackAddress, SaysWhatIsWrongWithTheForm) {
  EXPECT_EQ(parse_loopback("9464").error().message, "host and port are needed, such as 127.0.0.1:9464");
  EXPECT_EQ(parse_loopback(":9464").error().message, "host and port are needed, such as 127.0.0.1:9464");
  EXPECT_EQ(parse_loopback("::1:9464").error().message, "an IPv6 address needs brackets, such as [::1]:9464");
  EXPECT_EQ(parse_loopback("localhost:9464").error().message, "an address is needed instead of a name: write 127.0.0.1 or [::1]");
  for (const char* text : {"127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80 "}) {
    EXPECT_EQ(parse_loopback(text).error().message, "the port is a number from 0 to 65535") << text;
  }
}

TEST(Endpoint, IsALocalSocketOrLoopbackTcp) {
  EXPECT_TRUE(check_endpoint("ipc:///run/retouchd/requests.sock"));
  EXPECT_TRUE(check_endpoint("tcp://127.0.0.1:5555"));
  EXPECT_TRUE(check_endpoint("tcp://[::1]:5555"));
}

TEST(Endpoint, RefusesEverythingElse) {
  for (const char* text :
       {"", "requests.sock", "/run/requests.sock", "ipc://", "ipc://requests.sock", "ipc://@abstract", "inproc://a",
        "pgm://127.0.0.1:1", "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://192.168.0.4:5555", "tcp://[::]:5555",
        "tcp://localhost:5555", "tcp://127.0.0.1:0", "tcp://127.0.0.1", "TCP://127.0.0.1:5555"}) {
    EXPECT_FALSE(check_endpoint(text)) << text;
  }
}

TEST(Endpoint, HasASocketPathOnlyWithIpc) {
  EXPECT_EQ(socket_path("ipc:///run/a.sock"), fs::path("/run/a.sock"));
  EXPECT_EQ(socket_path("tcp://127.0.0.1:1"), std::nullopt);
}

class ClientEndpoints : public testing::Test {
 protected:
  ClientEndpoints() {
    environment_.uid = 1000;
    environment_.user_runtime_root = folder_.path() / "u";
    environment_.system_runtime_dir = folder_.path() / "s";
    config_.zmq.requests = "ipc://" + (folder_.path() / "c/requests.sock").string();
    config_.zmq.events = "ipc://" + (folder_.path() / "c/events.sock").string();
  }

  TemporaryFolder folder_;
  Environment environment_;
  Config config_;
};

TEST_F(ClientEndpoints, AreTheConfiguredOnesWhenNobodyListens) {
  EXPECT_EQ(client_endpoints(config_, environment_).requests, config_.zmq.requests);
  EXPECT_EQ(client_endpoints(config_, environment_).events, config_.zmq.events);
}

TEST_F(ClientEndpoints, AreTheConfiguredOnesWhenTheyExist) {
  const UniqueFd socket1 = listen_at(folder_.path() / "c/requests.sock");
  const UniqueFd socket2 = listen_at(folder_.path() / "s/requests.sock");
  EXPECT_EQ(client_endpoints(config_, environment_).requests, config_.zmq.requests);
}

TEST_F(ClientEndpoints, AreThoseOfTheUsersServiceBeforeTheSystems) {
  const UniqueFd socket3 = listen_at(folder_.path() / "s/requests.sock");
  EXPECT_EQ(client_endpoints(config_, environment_).requests, "ipc://" + (folder_.path() / "s/requests.sock").string());
  const UniqueFd socket4 = listen_at(folder_.path() / "u/1000/retouchd/requests.sock");
  const Endpoints found = client_endpoints(config_, environment_);
  EXPECT_EQ(found.requests, "ipc://" + (folder_.path() / "u/1000/retouchd/requests.sock").string());
  EXPECT_EQ(found.events, "ipc://" + (folder_.path() / "u/1000/retouchd/events.sock").string());
}

TEST_F(ClientEndpoints, SkipTheSocketThatAKilledDaemonLeft) {
  (void)listen_at(folder_.path() / "c/requests.sock");  // gone at once, its file is still there
  const UniqueFd served = listen_at(folder_.path() / "s/requests.sock");
  ASSERT_TRUE(fs::exists(folder_.path() / "c/requests.sock"));
  EXPECT_EQ(client_endpoints(config_, environment_).requests, "ipc://" + (folder_.path() / "s/requests.sock").string());
}

TEST_F(ClientEndpoints, FindADaemonThatHadNoRuntimeDirectory) {
  environment_.home = folder_.path() / "h";
  const fs::path socket = folder_.path() / "h/.local/state/retouchd/run/requests.sock";
  const UniqueFd served = listen_at(socket);
  EXPECT_EQ(client_endpoints(config_, environment_).requests, "ipc://" + socket.string());
}

TEST_F(ClientEndpoints, AreTheConfiguredOnesWithTcp) {
  config_.zmq.requests = "tcp://127.0.0.1:5555";
  const UniqueFd socket5 = listen_at(folder_.path() / "s/requests.sock");
  EXPECT_EQ(client_endpoints(config_, environment_).requests, "tcp://127.0.0.1:5555");
}

}  // namespace
}  // namespace retouchd::config
