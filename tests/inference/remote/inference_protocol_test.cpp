#include "inference/remote/inference_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace retouchd::inference {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json tensor(const char* name, const json& shape, const char* type = "FP32") {
  return {{"name", name}, {"datatype", type}, {"shape", shape}};
}

json metadata(const json& input, const json& output) {
  return {{"name", "tiny"}, {"versions", {"9", "10"}}, {"inputs", json::array({input})}, {"outputs", json::array({output})}};
}

json metadata(const json& shape) { return metadata(tensor("in", shape), tensor("out", shape)); }

ServedModel parsed(const json& described, const std::optional<json>& config = std::nullopt) {
  const auto model = parse_model("tiny", described.dump(), config ? std::optional<std::string>(config->dump()) : std::nullopt);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return model ? *model : ServedModel{};
}

Error refused(const json& described, const std::optional<json>& config = std::nullopt) {
  const auto model = parse_model("tiny", described.dump(), config ? std::optional<std::string>(config->dump()) : std::nullopt);
  EXPECT_FALSE(model.ok()) << described;
  return model ? Error{} : model.error();
}

json with_parameter(const std::string& key, const std::string& value) {
  return {{"max_batch_size", 8}, {"parameters", {{key, {{"string_value", value}}}}}};
}

TEST(InferenceProtocol, AModelOfAnySizeIsRead) {
  const ServedModel model = parsed(metadata({-1, 3, -1, -1}), json{{"max_batch_size", 8}});
  EXPECT_EQ(model.channels, 3);
  EXPECT_TRUE(model.has_batch);
  EXPECT_EQ(model.largest_batch, 8);
  EXPECT_EQ(model.input.height, std::nullopt);
  EXPECT_EQ(model.scale, 1);
  EXPECT_EQ(model.multiple, 8);
  EXPECT_EQ(model.receptive_field, std::nullopt);
  EXPECT_EQ(model.infer_path(), "/v2/models/tiny/versions/10/infer");
  EXPECT_EQ(model.sha256.size(), 64U);
}

TEST(InferenceProtocol, AModelOfFixedSizeTellsItsScale) {
  const ServedModel model = parsed(metadata(tensor("in", {1, 1, 64, 96}, "FP16"), tensor("out", {1, 1, 128, 192}, "FP16")));
  EXPECT_EQ(model.channels, 1);
  EXPECT_EQ(model.largest_batch, 1);
  EXPECT_EQ(model.input.height, 64);
  EXPECT_EQ(model.input.width, 96);
  EXPECT_EQ(model.input.type, NumberType::kFp16);
  EXPECT_EQ(model.scale, 2);
}

TEST(InferenceProtocol, AModelWithoutABatchTakesOnePicture) {
  const ServedModel model = parsed(metadata({3, -1, -1}));
  EXPECT_FALSE(model.has_batch);
  EXPECT_EQ(model.largest_batch, 1);
  EXPECT_EQ(json::parse(infer_json(model, {1, 3, 8, 16}, 1))["inputs"][0]["shape"], json({3, 8, 16}));
}

TEST(InferenceProtocol, ParametersTellWhatShapesCannot) {
  EXPECT_EQ(parsed(metadata({-1, 3, -1, -1}), with_parameter("retouchd.multiple", "16")).multiple, 16);
  EXPECT_EQ(parsed(metadata({-1, 3, -1, -1}), with_parameter("retouchd.receptive_field", "39")).receptive_field, 39);
  EXPECT_EQ(parsed(metadata({-1, 3, -1, -1}), with_parameter("retouchd.scale", "4")).scale, 4);
  for (const char* value : {"", "x", "0", "257", "8x", "-8"}) {
    const Error error = refused(metadata({-1, 3, -1, -1}), with_parameter("retouchd.multiple", value));
    EXPECT_EQ(error.code, ErrorCode::kBadWeights);
    EXPECT_THAT(error.message, HasSubstr("retouchd.multiple"));
  }
}

TEST(InferenceProtocol, AnotherVersionHasAnotherDigest) {
  json newer = metadata({-1, 3, -1, -1});
  newer["versions"] = {"11"};
  EXPECT_NE(parsed(newer).sha256, parsed(metadata({-1, 3, -1, -1})).sha256);
  EXPECT_NE(parsed(newer).network().id(), parsed(metadata({-1, 3, -1, -1})).network().id());
}

TEST(InferenceProtocol, ModelsThatRestoreNoPicturesAreRefused) {
  const json pictures = tensor("in", {-1, 3, -1, -1});
  const std::vector<std::pair<json, std::string>> cases{
      {metadata({-1, 4, -1, -1}), "1 or 3 channels"},
      {metadata({-1, -1, -1, 3}), "1 or 3 channels"},
      {metadata({-1, 1000}), "[N, C, H, W]"},
      {metadata({-1, 3, 0, 8}), "[N, C, H, W]"},
      {metadata({-1, 3, -2, 8}), "[N, C, H, W]"},
      {metadata({-1, 3, 1 << 20, 8}), "[N, C, H, W]"},
      {metadata({4, 3, -1, -1}), "only batches of 4"},
      {metadata(tensor("in", {-1, 3, -1, -1}, "UINT8"), tensor("out", {-1, 3, -1, -1})), "type UINT8, expected FP32 or FP16"},
      {metadata(pictures, tensor("out", {-1, 1, -1, -1})), "as many pictures and channels"},
      {metadata(pictures, tensor("out", {3, -1, -1})), "as many pictures and channels"},
      {metadata(tensor("in", {1, 3, 64, 64}), tensor("out", {1, 3, 96, 96})), "one whole number"},
      {metadata(tensor("in", {1, 3, 64, 64}), tensor("out", {1, 3, 128, 64})), "one whole number"}};
  for (const auto& [described, reason] : cases) {
    const Error error = refused(described);
    EXPECT_EQ(error.code, ErrorCode::kBadWeights) << described;
    EXPECT_THAT(error.message, HasSubstr(reason)) << described;
    EXPECT_THAT(error.message, HasSubstr("tiny"));
  }
  json two = metadata({-1, 3, -1, -1});
  two["inputs"].push_back(tensor("depth", {-1, 1, -1, -1}));
  EXPECT_THAT(refused(two).message, HasSubstr("has 2 inputs, expected one"));
}

TEST(InferenceProtocol, WhatIsNoDescriptionIsNotTheModelsFault) {
  for (const char* text : {"", "[]", "{}", "<html>", "{\"name\": \"tiny\", \"inputs\": [1], \"outputs\": [1]}",
                           "{\"name\": \"other\", \"inputs\": [], \"outputs\": []}"}) {
    const auto model = parse_model("tiny", text, std::nullopt);
    ASSERT_FALSE(model.ok()) << text;
    EXPECT_EQ(model.error().code, ErrorCode::kDeviceFailed) << text;
  }
  EXPECT_EQ(refused(metadata({-1, 3, -1, -1}), json{{"max_batch_size", "many"}}).code, ErrorCode::kDeviceFailed);
}

TEST(InferenceProtocol, FittingANetworkIsCheckedInAllItsParts) {
  NetworkInfo network;
  network.name = "tiny";
  network.multiple = 8;
  const ServedModel model = parsed(metadata({1, 3, 64, 64}));
  EXPECT_TRUE(model.fits(network).ok());
  const auto complaint = [&](const NetworkInfo& other) {
    const auto fits = model.fits(other);
    EXPECT_FALSE(fits.ok());
    return fits ? std::string() : fits.error().message;
  };
  NetworkInfo other = network;
  other.channels = 1;
  EXPECT_THAT(complaint(other), HasSubstr("takes pictures of 3 channels, expected 1"));
  other = network;
  other.scale = 2;
  EXPECT_THAT(complaint(other), HasSubstr("enlarges by 1, expected 2"));
  other = network;
  other.companion = Companion::kDepth;
  EXPECT_THAT(complaint(other), HasSubstr("needs a second one"));
  other = network;
  other.multiple = 48;
  EXPECT_THAT(complaint(other), HasSubstr("64x64, expected multiples of 48"));
}

TEST(InferenceProtocol, ARequestIsJsonOfWhatFollows) {
  const ServedModel model = parsed(metadata({-1, 3, -1, -1}));
  const json request = json::parse(infer_json(model, {2, 3, 8, 16}, 7));
  EXPECT_EQ(request["id"], "7");
  EXPECT_EQ(request["inputs"][0]["name"], "in");
  EXPECT_EQ(request["inputs"][0]["shape"], json({2, 3, 8, 16}));
  EXPECT_EQ(request["inputs"][0]["parameters"]["binary_data_size"], 2 * 3 * 8 * 16 * 4);
  EXPECT_EQ(request["outputs"][0]["parameters"]["binary_data"], true);
}

TEST(InferenceProtocol, AReasonIsOneLineOfPlainText) {
  HttpAnswer answer;
  answer.status = 500;
  const std::string text = "{\"error\": \"first\\nsecond\\u001b[31m " + std::string(1'000, 'x') + "\"}";
  answer.body.assign(text.begin(), text.end());
  EXPECT_THAT(reason_in(answer), HasSubstr("status 500, first second [31m xxx"));
  EXPECT_LT(reason_in(answer).size(), 400U);
  answer.body = {'<', 0xFF, '>'};
  EXPECT_EQ(reason_in(answer), "status 500, < >");
}

TEST(InferenceProtocol, NamesThatFitIntoAPathAreModelNames) {
  for (const char* name : {"student-tiny", "a", "A_1.2"}) EXPECT_TRUE(is_model_name(name)) << name;
  for (const char* name : {"", ".", "..", "a/b", "a b", "a%2f", "a?b", "\n"}) EXPECT_FALSE(is_model_name(name)) << name;
}

}  // namespace
}  // namespace retouchd::inference
