#include "daemon/service_notifier.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

namespace retouchd::daemon {
namespace {

using testing::MatchesRegex;

/// The service manager's end: a datagram socket named in NOTIFY_SOCKET.
class ServiceNotifierTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::path(testing::TempDir()) / ("notify-" + std::to_string(::getpid()) + ".sock");
    std::filesystem::remove(path_);
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(socket_, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(path_.native().size(), sizeof(address.sun_path));
    std::strcpy(address.sun_path, path_.c_str());
    ASSERT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << std::strerror(errno);
    ::setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }

  void TearDown() override {
    io_context_.stop();
    if (thread_.joinable()) thread_.join();
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    ::close(socket_);
    std::filesystem::remove(path_);
  }

  void set_watchdog(const char* microseconds) { ::setenv("WATCHDOG_USEC", microseconds, 1); }
  void run() {
    thread_ = std::thread([this] { io_context_.run(); });
  }

  /// Waits for the next message.
  std::string receive() {
    std::string message(1024, '\0');
    const auto size = ::recv(socket_, message.data(), message.size(), 0);
    message.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return message;
  }
  bool has_message() {
    char byte = 0;
    return ::recv(socket_, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0;
  }

  boost::asio::io_context io_context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_context_.get_executor()};
  std::thread thread_;
  std::filesystem::path path_;
  int socket_ = -1;
};

TEST_F(ServiceNotifierTest, TellsEveryStepOfTheService) {
  ServiceNotifier notifier(io_context_, [] { return true; });
  notifier.status("loading detail");
  notifier.ready("0 jobs waiting");
  notifier.reloading();
  notifier.ready("2 jobs\nwaiting");
  notifier.stopping();
  EXPECT_EQ(receive(), "STATUS=loading detail");
  EXPECT_EQ(receive(), "READY=1\nSTATUS=0 jobs waiting");
  EXPECT_THAT(receive(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  EXPECT_EQ(receive(), "READY=1\nSTATUS=2 jobs waiting") << "a line break would begin another assignment";
  EXPECT_EQ(receive(), "STOPPING=1");
}

TEST_F(ServiceNotifierTest, IsSilentWithoutAServiceManager) {
  ::unsetenv("NOTIFY_SOCKET");
  ServiceNotifier notifier(io_context_, [] { return true; });
  notifier.ready("ready");
  notifier.start_watchdog();
  notifier.stopping();
  EXPECT_FALSE(has_message());
}

TEST_F(ServiceNotifierTest, SurvivesAServiceManagerThatIsGone) {
  ::setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
  ServiceNotifier notifier(io_context_, [] { return true; });
  notifier.ready("ready");
  EXPECT_FALSE(has_message());
}

TEST_F(ServiceNotifierTest, FeedsTheWatchdogWhileIdle) {
  set_watchdog("20000");
  ServiceNotifier notifier(io_context_, [] { return true; });
  notifier.start_watchdog();
  run();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(receive(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, StarvesTheWatchdogUntilThereIsProgress) {
  set_watchdog("20000");
  std::atomic<int> looks{0};
  ServiceNotifier notifier(io_context_, [&looks] {
    ++looks;
    looks.notify_all();
    return false;
  });
  notifier.start_watchdog();
  run();
  for (int seen = looks; seen < 5; seen = looks) looks.wait(seen);
  EXPECT_FALSE(has_message());
  notifier.progress();
  EXPECT_EQ(receive(), "WATCHDOG=1");
}

TEST_F(ServiceNotifierTest, DoesNotFeedAWatchdogThatNobodyAskedFor) {
  std::atomic<int> looks{0};
  {
    ServiceNotifier notifier(io_context_, [&looks] { return ++looks > 0; });
    notifier.start_watchdog();
    io_context_.poll();
  }
  io_context_.poll();
  EXPECT_EQ(looks, 0);
  EXPECT_FALSE(has_message());
}

}  // namespace
}  // namespace retouchd::daemon
