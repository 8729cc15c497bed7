#include "inference/weights/pth.h"

#include <gmock/gmock.h>

#include "inference/weights/malformed_weights.h"
#include "pth_files.h"
#include "tests/temporary_folder.h"

namespace retouchd::inference {
namespace {

using pickled::dict;
using pickled::storage;
using pickled::tensor;
using testing::HasSubstr;

const std::string kData = number(1, 4) + number(2, 4) + number(3, 4) + number(4, 4);

WeightFile read(const std::string& file, Bytes limit = kMaxWeightFile) {
  return read_pth(source_of(file), WeightFormat::kPthZip, limit);
}

std::string refusal(const std::string& file, Bytes limit = kMaxWeightFile) {
  std::string reason = "accepted";
  try {
    read(file, limit);
  } catch (const MalformedWeights& malformed) {
    reason = malformed.what();
  }
  std::string of_header = "accepted";
  try {
    static_cast<void>(read_pth_header(source_of(file), WeightFormat::kPthZip, limit));
  } catch (const MalformedWeights& malformed) {
    of_header = malformed.what();
  }
  EXPECT_EQ(of_header, reason);
  return reason;
}

/// A file with one tensor over four I32.
std::string with(const std::string& described) { return pth(dict({{"a", described}}), {{"0", kData}}); }

std::string legacy(const std::string& object, const std::string& keys, const std::string& data,
                   const std::string& system = "\x88") {
  return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19." + pickled::whole(pickled::integer(1001)) +
         pickled::whole(dict({{"little_endian", system}})) + pickled::whole(object) + pickled::whole(keys) + data;
}

std::string legacy_refusal(const std::string& file) {
  try {
    static_cast<void>(read_pth(source_of(file), WeightFormat::kPthLegacy, kMaxWeightFile));
  } catch (const MalformedWeights& malformed) {
    return malformed.what();
  }
  return "accepted";
}

TEST(Pth, ViewsBecomeContiguous) {
  const auto file = read(with(tensor(storage("IntStorage", "0", 4), 0, {2, 2}, {1, 2})));
  const auto& entry = file.header.tensors.at("a");
  EXPECT_EQ(entry.dtype, "I32");
  EXPECT_EQ(entry.shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(std::string(file.data.begin(), file.data.end()), number(1, 4) + number(3, 4) + number(2, 4) + number(4, 4));
}

TEST(Pth, TensorsMayShareAStorage) {
  const auto all = storage("IntStorage", "0", 4);
  const auto file = read(pth(dict({{"a", tensor(all, 0, {3}, {1})}, {"b", tensor(all, 1, {3}, {1})}}), {{"0", kData}}));
  EXPECT_EQ(std::string(file.data.begin(), file.data.end()), kData.substr(0, 12) + kData.substr(4));
}

TEST(Pth, RefusesTensorsOutsideOfTheirStorage) {
  const auto four = storage("IntStorage", "0", 4);
  const std::int64_t huge = 1LL << 62;
  EXPECT_EQ(refusal(with(tensor(four, 1, {3}, {1}))), "accepted");
  for (const auto& outside :
       {tensor(four, 0, {5}, {1}), tensor(four, 4, {1}, {1}), tensor(four, 0, {2}, {4}), tensor(four, 2, {2, 2}, {1, 1}),
        tensor(four, huge, {2}, {huge}), tensor(four, 0, {2, 2}, {huge, huge}), tensor(four, 5, {0}, {1})}) {
    EXPECT_THAT(refusal(with(outside)), HasSubstr("tensor `a`: it lies outside"));
  }
}

TEST(Pth, RefusesShapesThatCannotBe) {
  const auto four = storage("IntStorage", "0", 4);
  for (const auto& bad : {tensor(four, -1, {1}, {1}), tensor(four, 0, {-1}, {1}), tensor(four, 0, {2}, {-1}),
                          tensor(four, 0, {2, 2}, {1}), tensor(four, 0, {1LL << 62, 1LL << 62}, {0, 0}),
                          tensor(four, 0, std::vector<std::int64_t>(17, 1), std::vector<std::int64_t>(17, 1)),
                          pickled::call("torch._utils", "_rebuild_tensor_v2", {four, "N", ")", ")"}),
                          pickled::call("torch._utils", "_rebuild_tensor_v2", {four, "K\1"}),
                          pickled::call("torch._utils", "_rebuild_tensor_v2", {"N", "K\1", ")", ")"}),
                          pickled::call("torch._utils", "_rebuild_tensor_v2", {four, "K\1", "N", ")"})}) {
    EXPECT_THAT(refusal(with(bad)), testing::Not("accepted"));
  }
}

TEST(Pth, RefusesStoragesOfAnotherSizeThanTheirRecord) {
  EXPECT_THAT(refusal(with(tensor(storage("IntStorage", "0", 200), 0, {200}, {1}))), HasSubstr("16 bytes"));
  EXPECT_THAT(refusal(with(tensor(storage("IntStorage", "0", 1LL << 62), 0, {1}, {1}))), HasSubstr("16 bytes"));
  EXPECT_THAT(refusal(with(tensor(storage("IntStorage", "0", -4), 0, {1}, {1}))), HasSubstr("damaged"));
  EXPECT_THAT(refusal(with(tensor(storage("IntStorage", "1", 4), 0, {4}, {1}))), HasSubstr("no `x/data/1`"));
}

TEST(Pth, RefusesOneStorageOfTwoTypes) {
  const auto file = pth(dict({{"a", tensor(storage("IntStorage", "0", 4), 0, {4}, {1})},
                              {"b", tensor(storage("FloatStorage", "0", 4), 0, {4}, {1})}}),
                        {{"0", kData}});
  EXPECT_THAT(refusal(file), HasSubstr("two types"));
}

TEST(Pth, ASmallFileCannotAskForALotOfMemory) {
  const auto one = storage("IntStorage", "0", 4);
  EXPECT_EQ(refusal(with(tensor(one, 0, {1024, 1024}, {0, 1}))), "tensor `a`: it lies outside of its storage");
  EXPECT_EQ(refusal(with(tensor(one, 0, {1024, 1024}, {0, 0}))), "accepted") << "4 MiB";
  EXPECT_THAT(refusal(with(tensor(one, 0, {1024, 1024, 1024}, {0, 0, 0}))), HasSubstr("of memory"));
  EXPECT_THAT(refusal(with(tensor(one, 0, {1024, 1024}, {0, 0})), mebibytes(1)), HasSubstr("of memory"));
  EXPECT_THAT(refusal(with(tensor(one, 0, {4}, {1})), Bytes{100}), HasSubstr("limit"));
}

TEST(Pth, EmptyTensorsNeedNoNumbers) {
  const auto file =
      read(pth(dict({{"a", tensor(storage("IntStorage", "0", 0), 0, {0, 1LL << 62, 1LL << 62}, {1, 1, 1})}}), {{"0", ""}}));
  EXPECT_TRUE(file.data.empty());
  EXPECT_EQ(file.header.elements(), 0U);
}

TEST(Pth, RefusesNumbersThatAreBigEndian) {
  const auto file = zip({{"x/data.pkl", pickled::whole("}")}, {"x/byteorder", "big"}});
  EXPECT_THAT(refusal(file), HasSubstr("little-endian"));
}

TEST(Pth, RefusesBytesBehindThePickle) {
  EXPECT_THAT(refusal(zip({{"x/data.pkl", pickled::whole("}") + "x"}})), HasSubstr("followed by other bytes"));
}

TEST(Pth, RefusesNamesTwiceOrWithoutMeaning) {
  const auto a = tensor(storage("IntStorage", "0", 4), 0, {4}, {1});
  EXPECT_THAT(refusal(pth(dict({{"a", a}, {"a", a}}), {{"0", kData}})), HasSubstr("twice"));
  EXPECT_THAT(refusal(pth(dict({{"\xff", a}}), {{"0", kData}})), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal(pth(dict({{"", a}}), {{"0", kData}})), HasSubstr("empty"));
}

TEST(Pth, TellsWhatIsThereInsteadOfWeights) {
  EXPECT_THAT(refusal(pth(dict({{"epoch", "K\1"}, {"state", dict({{"x", "N"}, {"y", "N"}})}}), {})),
              HasSubstr("`epoch` (a number), `state` (a dictionary)"));
  EXPECT_THAT(refusal(pth("K\1", {})), HasSubstr("holds a number"));
  EXPECT_THAT(refusal(pth(pickled::call("models", "Net", {}), {})), HasSubstr("an object of `models.Net`"));
}

TEST(Pth, AWrapperInsideItselfComesToAnEnd) {
  EXPECT_THAT(refusal(pth("}q\1" + pickled::text("model") + "h\1s", {})), HasSubstr("no tensors"));
}

TEST(Pth, WrappersAreTriedInTheirOrder) {
  const auto a = tensor(storage("IntStorage", "0", 4), 0, {4}, {1});
  const auto named = [&a](const std::string& name) { return dict({{name, a}}); };
  const auto only_name = [](const std::string& object) {
    return read(pth(object, {{"0", kData}})).header.tensors.begin()->first;
  };
  std::vector<std::pair<std::string, std::string>> items;
  for (const char* wrapper : {"net", "model", "params", "params-ema", "params_ema", "state_dict", "model_state_dict"}) {
    items.emplace_back(wrapper, named(wrapper + std::string("-inner")));
    EXPECT_EQ(only_name(dict(items)), wrapper + std::string("-inner"));
  }
  EXPECT_EQ(only_name(dict({{"any", named("x")}})), "x");
  EXPECT_EQ(only_name(dict({{"state_dict", dict({{"params", named("module.netG.x")}})}})), "x");
}

TEST(Pth, NothingIsExecuted) {
  const TemporaryFolder folder;
  const auto proof = folder.path() / "executed";
  const auto gadget = pickled::call("posix", "system", {pickled::text("touch " + proof.string())});
  const auto a = tensor(storage("IntStorage", "0", 4), 0, {4}, {1});
  EXPECT_EQ(read(pth(dict({{"a", a}, {"b", gadget}}), {{"0", kData}})).header.tensors.size(), 1U);
  EXPECT_THAT(refusal(pth(gadget, {})), HasSubstr("an object of `posix.system`"));
  // Where a tensor's parts are expected.
  EXPECT_NE(refusal(with(tensor(gadget, 0, {4}, {1}))), "accepted");
  EXPECT_NE(refusal(with(pickled::call("torch._utils", "_rebuild_parameter", {gadget, "\x88", "N"}))), "accepted");
  EXPECT_FALSE(std::filesystem::exists(proof));
}

TEST(Pth, LegacyFilesAreReadInTheOrderOfTheirKeys) {
  const auto object = dict(
      {{"a", tensor(storage("IntStorage", "k1", 1), 0, {1}, {1})}, {"b", tensor(storage("ShortStorage", "k2", 2), 0, {2}, {1})}});
  const auto file =
      legacy(object, "](" + pickled::text("k2") + pickled::text("k1") + "e", number(2, 8) + "wxyz" + number(1, 8) + "ABCD");
  const auto read = read_pth(source_of(file), WeightFormat::kPthLegacy, kMaxWeightFile);
  EXPECT_EQ(std::string(read.data.begin(), read.data.end()), "ABCDwxyz");
}

TEST(Pth, ALegacyTensorMayBeAViewOfAnotherStorage) {
  const auto view =
      pickled::tuple({pickled::text("storage"), pickled::global("torch", "ByteStorage"), pickled::text("k"), pickled::text("cpu"),
                      pickled::integer(6), pickled::tuple({pickled::text("v"), pickled::integer(2), pickled::integer(3)})}) +
      "Q";
  const auto keys = "]" + pickled::text("k") + "a";
  const auto file = legacy(dict({{"a", tensor(view, 1, {2}, {1})}}), keys, number(6, 8) + "abcdef");
  const auto read = read_pth(source_of(file), WeightFormat::kPthLegacy, kMaxWeightFile);
  EXPECT_EQ(std::string(read.data.begin(), read.data.end()), "de");
  const auto beyond = legacy(dict({{"a", tensor(view, 1, {3}, {1})}}), keys, number(6, 8) + "abcdef");
  EXPECT_THAT(legacy_refusal(beyond), HasSubstr("outside"));
}

TEST(Pth, RefusesLegacyFilesWhosePartsDisagree) {
  const auto object = dict({{"a", tensor(storage("IntStorage", "k", 1), 0, {1}, {1})}});
  const auto keys = "]" + pickled::text("k") + "a";
  EXPECT_EQ(legacy_refusal(legacy(object, keys, number(1, 8) + "ABCD")), "accepted");
  EXPECT_THAT(legacy_refusal(legacy(object, keys, number(1, 8) + "ABC")), HasSubstr("cut short"));
  EXPECT_THAT(legacy_refusal(legacy(object, keys, number(1, 8) + "ABCDE")), HasSubstr("belong to no tensor"));
  EXPECT_THAT(legacy_refusal(legacy(object, keys, number(2, 8) + "ABCDEFGH")), HasSubstr("another size"));
  EXPECT_THAT(legacy_refusal(legacy(object, keys, number(~0ULL, 8) + "ABCD")), HasSubstr("another size"));
  EXPECT_THAT(legacy_refusal(legacy(object, "]", "")), HasSubstr("`k` is missing"));
  EXPECT_THAT(legacy_refusal(legacy(object, "](" + pickled::text("k") + pickled::text("k") + "e", number(1, 8) + "ABCD")),
              HasSubstr("does not fit"));
  EXPECT_THAT(legacy_refusal(legacy(object, keys, number(1, 8) + "ABCD", "\x89")), HasSubstr("little-endian"));
}

}  // namespace
}  // namespace retouchd::inference
