#include "inference/remote/model_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <thread>

#include "tests/inference/fake_model_server.h"

namespace retouchd::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Dims = FakeModelServer::Dims;
using Numbers = FakeModelServer::Numbers;
using nlohmann::json;

class Server : public testing::Test {
 protected:
  Server() {
    network_.name = "tiny";
    network_.sha256 = "0";
    network_.multiple = 8;
    network_.receptive_field = 0;
  }

  std::unique_ptr<ModelServer> open(ModelServerOptions options = {}) const {
    auto server = open_model_server(fake_.url(), options);
    EXPECT_TRUE(server.ok()) << server.error().message;
    return *std::move(server);
  }
  std::unique_ptr<ModelServer> loaded(ModelServerOptions options = {}) const {
    auto server = open(options);
    const auto loaded = server->load(network_);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    return server;
  }

  static cv::Mat noise(int type, cv::Size size = {60, 50}) {
    cv::Mat picture(size, type);
    cv::RNG(3).fill(picture, cv::RNG::UNIFORM, 0, CV_MAT_DEPTH(type) == CV_8U ? 256 : 65'536);
    return picture;
  }

  /// Restores one window of `picture`.
  Restored restored(ModelServer& server, const cv::Mat& picture, int depth) const {
    const Window window{picture, {}, depth};
    auto result = server.restore(network_, tensor_, {&window, 1});
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result ? std::move(result->front()) : Restored{};
  }
  /// The error of restoring one window.
  Error failure(ModelServer& server) const {
    const Window window{noise(CV_8UC3), {}, CV_8U};
    const auto result = server.restore(network_, tensor_, {&window, 1});
    EXPECT_FALSE(result.ok());
    return result ? Error{} : result.error();
  }
  Error load_failure() const {
    const auto result = open()->load(network_);
    EXPECT_FALSE(result.ok());
    return result ? Error{} : result.error();
  }

  FakeModelServer fake_;
  NetworkInfo network_;
  const cv::Size tensor_{64, 64};
};

double difference(const cv::Mat& a, const cv::Mat& b) { return cv::norm(a, b, cv::NORM_INF); }

TEST_F(Server, RestoresPicturesOfEveryTypeExactly) {
  const auto server = loaded();
  for (const int type : {CV_8UC3, CV_16UC3, CV_8UC1, CV_16UC1}) {
    const cv::Mat picture = noise(type);
    const double full = CV_MAT_DEPTH(type) == CV_8U ? 255 : 65'535;
    cv::Mat inverted;
    cv::subtract(cv::Scalar::all(full), picture, inverted);
    const Restored result = restored(*server, picture, CV_MAT_DEPTH(type));
    ASSERT_EQ(result.pixels.type(), type);
    EXPECT_EQ(difference(result.pixels, inverted), 0) << type;
    EXPECT_TRUE(result.values.is_finite);
    EXPECT_GE(result.values.least, 0.0F);
    EXPECT_LE(result.values.most, 1.0F);
    EXPECT_LT(result.values.least, result.values.most);
  }
}

TEST_F(Server, ResultsAsComputedAreNotClamped) {
  fake_.behaviour.compute = [](float number) { return 3.0F * number - 1.0F; };
  const Restored result = restored(*loaded(), noise(CV_8UC3), CV_32F);
  ASSERT_EQ(result.pixels.type(), CV_32FC3);
  double least = 0;
  double most = 0;
  cv::minMaxIdx(result.pixels.reshape(1), &least, &most);
  EXPECT_FLOAT_EQ(static_cast<float>(least), result.values.least);
  EXPECT_FLOAT_EQ(static_cast<float>(most), result.values.most);
  EXPECT_LT(least, -0.9);
  EXPECT_GT(most, 1.9);
}

TEST_F(Server, ANetworkOfOneChannelRestoresEachColourAlone) {
  fake_.behaviour.shape = fake_.behaviour.output_shape = {-1, 1, -1, -1};
  network_.channels = 1;
  const cv::Mat picture = noise(CV_8UC3);
  const auto server = loaded();
  EXPECT_EQ(difference(restored(*server, picture, CV_8U).pixels, cv::Scalar::all(255) - picture), 0);
  EXPECT_THAT(fake_.shapes(), ElementsAre(Dims{3, 1, 64, 64}));
}

TEST_F(Server, PicturesAreEnlarged) {
  fake_.behaviour.scale = 2;
  fake_.behaviour.config = json{{"parameters", {{"retouchd.scale", {{"string_value", "2"}}}}}};
  network_.scale = 2;
  const cv::Mat picture = noise(CV_8UC3);
  cv::Mat large;
  cv::resize(picture, large, {}, 2, 2, cv::INTER_NEAREST);
  EXPECT_EQ(difference(restored(*loaded(), picture, CV_8U).pixels, cv::Scalar::all(255) - large), 0);
}

TEST_F(Server, NumbersOfHalfWidthAreEnoughForEightBits) {
  fake_.behaviour.type = "FP16";
  const cv::Mat picture = noise(CV_8UC3);
  EXPECT_EQ(difference(restored(*loaded(), picture, CV_8U).pixels, cv::Scalar::all(255) - picture), 0);
}

TEST_F(Server, WindowsGoInOneRequestAndComeBackInOrder) {
  const auto server = loaded();
  std::vector<Window> windows;
  for (int i = 0; i < 5; ++i) windows.push_back({cv::Mat(40 + i, 64, CV_8UC3, cv::Scalar::all(10 * i)), {}, CV_8U});
  const auto result = server->restore(network_, tensor_, windows);
  ASSERT_TRUE(result.ok()) << result.error().message;
  for (int i = 0; i < 5; ++i) {
    const cv::Mat& pixels = result->at(static_cast<std::size_t>(i)).pixels;
    EXPECT_EQ(pixels.size(), cv::Size(64, 40 + i));
    EXPECT_EQ(difference(pixels, cv::Mat(pixels.size(), CV_8UC3, cv::Scalar::all(255 - 10 * i))), 0);
  }
  EXPECT_THAT(fake_.shapes(), ElementsAre(Dims{5, 3, 64, 64}));
}

TEST_F(Server, ABatchIsSplitWhereTheModelTakesLess) {
  fake_.behaviour.config = json{{"max_batch_size", 2}};
  fake_.behaviour.shape = fake_.behaviour.output_shape = {-1, 1, -1, -1};
  network_.channels = 1;
  const auto server = loaded();
  std::vector<Window> windows{{noise(CV_8UC1), {}, CV_8U}, {noise(CV_8UC3), {}, CV_8U}, {noise(CV_8UC1), {}, CV_8U}};
  const auto result = server->restore(network_, tensor_, windows);
  ASSERT_TRUE(result.ok()) << result.error().message;
  for (std::size_t i = 0; i < windows.size(); ++i)
    EXPECT_EQ(difference(result->at(i).pixels, cv::Scalar::all(255) - windows[i].colour), 0);
  EXPECT_THAT(fake_.shapes(), ElementsAre(Dims{2, 1, 64, 64}, Dims{2, 1, 64, 64}, Dims{1, 1, 64, 64}));
}

TEST_F(Server, AModelOfFixedSizeTakesSmallerWindows) {
  fake_.behaviour.shape = fake_.behaviour.output_shape = {1, 3, 96, 128};
  const auto server = loaded();
  const cv::Mat picture = noise(CV_8UC3);
  EXPECT_EQ(difference(restored(*server, picture, CV_8U).pixels, cv::Scalar::all(255) - picture), 0);
  EXPECT_THAT(fake_.shapes(), ElementsAre(Dims{1, 3, 96, 128}));
}

TEST_F(Server, LargerWindowsThanAModelTakesAreTooMuchMemory) {
  fake_.behaviour.shape = fake_.behaviour.output_shape = {1, 3, 64, 56};
  const Error error = failure(*loaded());
  EXPECT_EQ(error.code, ErrorCode::kOutOfDeviceMemory);
  EXPECT_THAT(error.message, HasSubstr("no tiles of 64x64; with tile.size: 32 all fit"));
}

TEST_F(Server, WindowsArePaddedByReflection) {
  fake_.behaviour.spoil = [](json&, Numbers& numbers) {
    // What was padded: the first row's last column but five equals its mirror image.
    EXPECT_FLOAT_EQ(numbers[60], numbers[58]);
    EXPECT_FLOAT_EQ(numbers[63], numbers[55]);
  };
  (void)restored(*loaded(), noise(CV_8UC3), CV_8U);
}

TEST_F(Server, NumbersThatAreNoneAreLeftToWhoeverChecksThem) {
  fake_.behaviour.spoil = [](json&, Numbers& numbers) { numbers[5] = std::nanf(""); };
  EXPECT_FALSE(restored(*loaded(), noise(CV_8UC3), CV_8U).values.is_finite);
}

TEST_F(Server, AnythingButTheAskedTensorIsAFailure) {
  using Spoil = std::function<void(json&, Numbers&)>;
  const std::vector<std::pair<std::string, Spoil>> cases{
      {"has the shape",
       [](json& d, Numbers&) {
         d["outputs"][0]["shape"] = {1, 3, 32, 128};
       }},
      {"has the shape",
       [](json& d, Numbers&) {
         d["outputs"][0]["shape"] = {3, 64, 64};
       }},
      {"another type", [](json& d, Numbers&) { d["outputs"][0]["datatype"] = "FP64"; }},
      {"announces 4 bytes", [](json& d, Numbers&) { d["outputs"][0]["parameters"]["binary_data_size"] = 4; }},
      {"another tensor", [](json& d, Numbers&) { d["outputs"][0]["name"] = "other"; }},
      {"another model", [](json& d, Numbers&) { d["model_name"] = "other"; }},
      {"another request", [](json& d, Numbers&) { d["id"] = "0"; }},
      {"2 tensors", [](json& d, Numbers&) { d["outputs"].push_back(d["outputs"][0]); }},
      {"does not describe", [](json& d, Numbers&) { d["outputs"][0].erase("shape"); }},
      {"does not describe", [](json& d, Numbers&) { d["outputs"][0]["shape"] = "large"; }},
      {"does not describe", [](json& d, Numbers&) { d = json::array({1}); }},
      {"bytes, expected 49152", [](json&, Numbers& n) { n.pop_back(); }},
      {"bytes, expected 49152", [](json&, Numbers& n) { n.clear(); }},
      {"bytes, expected 49152", [](json&, Numbers& n) { n.push_back(0); }}};
  const auto server = loaded();
  for (const auto& [reason, spoil] : cases) {
    fake_.behaviour.spoil = spoil;
    const Error error = failure(*server);
    EXPECT_EQ(error.code, ErrorCode::kDeviceFailed);
    EXPECT_THAT(error.message, HasSubstr(reason));
    EXPECT_THAT(error.message, HasSubstr(fake_.url()));
  }
}

TEST_F(Server, BrokenTransfersAreFailures) {
  using Reply = FakeHttpServer::Reply;
  const std::vector<std::pair<std::string, Reply>> cases{
      {"status 500, it broke", Reply{500, R"({"error": "it broke"})", {}, {}, {}}},
      {"status 302", Reply{302, "", {{"Location", "http://127.0.0.1:1/"}}, {}, {}}},
      {"no binary tensor", Reply{200, "{}", {}, {}, {}}},
      {"no binary tensor", Reply{200, "{}", {{"Inference-Header-Content-Length", "-2"}}, {}, {}}},
      {"bytes, expected", Reply{200, "{}", {{"Inference-Header-Content-Length", "99999999999"}}, {}, {}}},
      {"the answer is larger than", Reply{200, "{}", {}, std::uint64_t{1} << 40U, {}}},
      {"the answer is larger than", Reply{200, std::string(1 << 20, 'x'), {}, {}, {}}},
      {fake_.url(), Reply{200, "short", {}, 1'000, {}}}};
  const auto server = loaded();
  for (const auto& [reason, reply] : cases) {
    fake_.behaviour.instead = [&reply = reply] { return reply; };
    const Error error = failure(*server);
    EXPECT_EQ(error.code, ErrorCode::kDeviceFailed) << error.message;
    EXPECT_THAT(error.message, HasSubstr(reason));
  }
}

TEST_F(Server, AServerThatIsTooSlowHasFailed) {
  ModelServerOptions options;
  options.timeout = std::chrono::milliseconds(200);
  const auto server = loaded(options);
  fake_.behaviour.instead = [] { return FakeHttpServer::Reply{.never = true}; };
  EXPECT_EQ(failure(*server).code, ErrorCode::kDeviceFailed);
}

TEST_F(Server, AServerOutOfMemoryIsAskedForLess) {
  const auto server = loaded();
  fake_.behaviour.instead = [] { return FakeHttpServer::Reply{500, R"({"error": "CUDA out of memory"})", {}, {}, {}}; };
  EXPECT_EQ(failure(*server).code, ErrorCode::kOutOfDeviceMemory);
  fake_.behaviour.instead = [] { return FakeHttpServer::Reply{413, "", {}, {}, {}}; };
  EXPECT_EQ(failure(*server).code, ErrorCode::kOutOfDeviceMemory);
}

TEST_F(Server, AServerThatIsNotReadyOrAwayHasFailed) {
  fake_.behaviour.ready = false;
  Error error = load_failure();
  EXPECT_EQ(error.code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(error.message, HasSubstr("not ready"));
  const std::string nowhere = "http://127.0.0.1:" + std::to_string(FakeHttpServer::unused_port());
  const auto away = (*open_model_server(nowhere))->load(network_);
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.error().code, ErrorCode::kDeviceFailed);
  EXPECT_THAT(away.error().message, HasSubstr(nowhere));
}

TEST_F(Server, AMissingModelIsNamed) {
  network_.name = "other";
  const Error error = load_failure();
  EXPECT_EQ(error.code, ErrorCode::kBadWeights);
  EXPECT_THAT(error.message, HasSubstr(fake_.url() + ": has no model other (status 404"));
}

TEST_F(Server, AModelThatDoesNotFitIsRefused) {
  network_.channels = 1;
  const Error error = load_failure();
  EXPECT_EQ(error.code, ErrorCode::kBadWeights);
  EXPECT_THAT(error.message, HasSubstr("takes pictures of 3 channels, expected 1"));
}

TEST_F(Server, AnotherModelCanStandForEveryNetwork) {
  network_.name = "student";
  ModelServerOptions options;
  options.model = "tiny";
  const cv::Mat picture = noise(CV_8UC3);
  EXPECT_EQ(difference(restored(*loaded(options), picture, CV_8U).pixels, cv::Scalar::all(255) - picture), 0);
}

TEST_F(Server, ANewVersionIsUsedOnceItWasAskedFor) {
  const auto server = loaded();
  fake_.behaviour.versions = {"2"};
  EXPECT_EQ(failure(*server).code, ErrorCode::kDeviceFailed);
  ASSERT_TRUE(server->load(network_).ok());  // as a probe does
  EXPECT_EQ(restored(*server, noise(CV_8UC3), CV_8U).pixels.type(), CV_8UC3);
}

TEST_F(Server, ANetworkThatOnlyTheServerHasIsDescribed) {
  fake_.behaviour.config = json{{"max_batch_size", 4}, {"parameters", {{"retouchd.receptive_field", {{"string_value", "39"}}}}}};
  const auto server = open();
  const auto network = server->describe("tiny");
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_EQ(network->name, "tiny");
  EXPECT_EQ(network->receptive_field, 39);
  EXPECT_EQ(network->multiple, 8);
  EXPECT_EQ(network->scale, 1);
  EXPECT_TRUE(server->load(*network).ok());
  EXPECT_EQ(server->describe("nothing").error().code, ErrorCode::kBadWeights);
}

TEST_F(Server, ServersWithoutAConfigAreAsGood) {
  fake_.behaviour.config = std::nullopt;
  fake_.behaviour.versions = {};
  const cv::Mat picture = noise(CV_8UC3);
  EXPECT_EQ(difference(restored(*loaded(), picture, CV_8U).pixels, cv::Scalar::all(255) - picture), 0);
}

TEST_F(Server, WhatACallTakesIsMeasured) {
  const auto server = loaded();
  const auto small = server->measure(network_, {64, 64}, 1);
  ASSERT_TRUE(small.ok()) << small.error().message;
  EXPECT_EQ(small->peak, (Bytes{2 * 64 * 64 * 3 * (4 + 4)}));  // two requests at once
  EXPECT_GT(small->time.count(), 0);
  EXPECT_EQ(server->measure(network_, {128, 64}, 2)->peak, (Bytes{4 * small->peak.value}));
  EXPECT_EQ(server->memory(), std::nullopt);
}

TEST_F(Server, AModelOfFixedSizeIsMeasuredForLargerTiles) {
  fake_.behaviour.shape = fake_.behaviour.output_shape = {1, 3, 64, 64};
  const auto server = loaded();
  EXPECT_EQ(server->measure(network_, {128, 128}, 1)->peak.value, 4 * server->measure(network_, {64, 64}, 1)->peak.value);
}

TEST_F(Server, CallsFromSeveralThreadsHaveConnectionsOfTheirOwn) {
  const auto server = loaded();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      const cv::Mat picture(50, 60, CV_8UC3, cv::Scalar::all(t));
      for (int call = 0; call < 10; ++call) {
        const Window window{picture, {}, CV_8U};
        const auto result = server->restore(network_, tensor_, {&window, 1});
        if (result && difference(result->front().pixels, cv::Mat(50, 60, CV_8UC3, cv::Scalar::all(255 - t))) == 0) ++right;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 30);
  EXPECT_LE(fake_.connections(), 3U);
}

TEST(ModelServer, AddressesThatMakeNoSenseAreRefused) {
  EXPECT_TRUE(open_model_server("http://triton.example:8000").ok());
  EXPECT_EQ((*open_model_server("http://[::1]:8000"))->name(), "server:[::1]:8000");
  for (const char* address :
       {"", "http://", "http://host", "http://host:", "http://host:0", "http://host:70000", "http://host:x", "http://:80",
        "https://host:80", "host:80", "http://host/path:80", "http://user@host:80", "http://a b:80"}) {
    const auto opened = open_model_server(address);
    ASSERT_FALSE(opened.ok()) << address;
    EXPECT_EQ(opened.error().code, ErrorCode::kBadConfig);
  }
}

TEST(ModelServer, StandsBesideOtherDevices) {
  const auto opened = open_devices({"simulated,http://127.0.0.1:8000,http://127.0.0.1:8001"});
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  EXPECT_EQ(opened->at(1)->name(), "server:127.0.0.1:8000");
  EXPECT_EQ(opened->at(2)->description(), "model server http://127.0.0.1:8001");
  EXPECT_EQ(open_devices({"http://127.0.0.1:8000,http://127.0.0.1:8000"}).error().code, ErrorCode::kBadConfig);
  EXPECT_EQ(open_devices({"http://127.0.0.1"}).error().code, ErrorCode::kBadConfig);
}

}  // namespace
}  // namespace retouchd::inference
