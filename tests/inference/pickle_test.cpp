#include "inference/weights/pickle.h"

#include <gmock/gmock.h>

#include "inference/weights/malformed_weights.h"
#include "pth_files.h"

namespace retouchd::inference {
namespace {

using Kind = PickleValue::Kind;
using testing::HasSubstr;

PickleTree read(const std::string& bytes, const PickleLimits& limits = {}) {
  const auto source = source_of(bytes);
  ByteCursor cursor(source, 0, bytes.size());
  return read_pickle(cursor, limits);
}

PickleValue root(const std::string& value) {
  const auto tree = read(pickled::whole(value));
  return tree[tree.root];
}

std::string refusal(const std::string& value, const PickleLimits& limits = {}) {
  try {
    read(pickled::whole(value), limits);
  } catch (const MalformedWeights& reason) {
    return reason.what();
  }
  return "accepted";
}

TEST(Pickle, ReadsNumbersOfAllWidths) {
  EXPECT_EQ(root("K\xff").integer, 255);
  EXPECT_EQ(root(std::string("M\x00\x80", 3)).integer, 32768);
  EXPECT_EQ(root("J\xfe\xff\xff\xff").integer, -2);
  EXPECT_EQ(root(std::string("\x8a\x00", 2)).integer, 0);
  EXPECT_EQ(root("\x8a\x01\xff").integer, -1);
  EXPECT_EQ(root(std::string("\x8a\x02\xff\x00", 4)).integer, 255);
  EXPECT_EQ(root("\x8a\x07" + number(1ULL << 50, 7)).integer, 1LL << 50);
  EXPECT_EQ(root(pickled::integer(-5)).integer, -5);
  EXPECT_EQ(root("\x8a\x0b" + number(0, 8) + "abc").kind, Kind::kOpaque) << "too long to matter";
  EXPECT_EQ(root("G" + number(0, 8)).kind, Kind::kOpaque);
  EXPECT_EQ(root("\x88").integer, 1);
  EXPECT_EQ(root("\x89").kind, Kind::kBool);
}

TEST(Pickle, ReadsContainers) {
  const auto tree = read(pickled::whole("}" + pickled::text("a") + "](K\1K\2e" + "s" + pickled::text("b") + ")s"));
  const auto& dict = tree[tree.root];
  ASSERT_EQ(dict.kind, Kind::kDict);
  ASSERT_EQ(dict.items.size(), 4U);
  EXPECT_EQ(tree[dict.items[0]].text, "a");
  ASSERT_EQ(tree[dict.items[1]].kind, Kind::kList);
  EXPECT_EQ(tree[tree[dict.items[1]].items[1]].integer, 2);
  EXPECT_EQ(tree[dict.items[3]].kind, Kind::kTuple);
}

TEST(Pickle, AnOrderedDictIsADictionaryWhoseStateIsDropped) {
  const auto tree = read(pickled::whole(pickled::global("collections", "OrderedDict") + ")R" + pickled::text("k") + "K\1s" +
                                        pickled::dict({{"_metadata", "}"}}) + "b"));
  EXPECT_EQ(tree[tree.root].kind, Kind::kDict);
  EXPECT_EQ(tree[tree.root].items.size(), 2U);
}

TEST(Pickle, MemoNumbersStartAtZeroOrOne) {
  EXPECT_EQ(root("(K\7q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "t").items.size(), 2U);
  EXPECT_EQ(root("(K\7q\1h\1t").items.size(), 2U);
}

TEST(Pickle, UnknownGlobalsBecomeOpaqueAndSwallowEverything) {
  const auto value =
      root(pickled::call("posix", "system", {pickled::text("true")}) + pickled::text("k") + "K\1s" + "K\1a" + "}b");
  EXPECT_EQ(value.kind, Kind::kOpaque);
  EXPECT_EQ(value.text, "posix.system");
  EXPECT_TRUE(value.items.empty());
  EXPECT_EQ(root(pickled::global("argparse", "Namespace") + ")\x81}b").text, "argparse.Namespace");
}

TEST(Pickle, KnownCallsKeepTheirArguments) {
  const auto value = root(pickled::call("torch._utils", "_rebuild_tensor_v2", {"K\1", "K\2"}));
  EXPECT_EQ(value.kind, Kind::kCall);
  EXPECT_EQ(value.global, PickleGlobal::kRebuildTensor);
  EXPECT_EQ(value.items.size(), 2U);
}

TEST(Pickle, LongTextsAreSkipped) {
  EXPECT_EQ(root(pickled::text(std::string(65536, 'x'))).text.size(), 65536U);
  EXPECT_EQ(root(pickled::text(std::string(65537, 'x'))).kind, Kind::kOpaque);
}

TEST(Pickle, RefusesOtherProtocols) {
  EXPECT_THROW(read("\x80\x04N."), MalformedWeights);
  EXPECT_THROW(read("(dp0\n."), MalformedWeights);
  EXPECT_THROW(read(""), MalformedWeights);
}

TEST(Pickle, RefusesOpcodesThatWeightFilesDoNotHave) {
  // INST, OBJ, DUP, POP, PERSID, EXT1, STACK_GLOBAL, MEMOIZE, BYTEARRAY8, NEXT_BUFFER
  for (const char opcode : std::string("io20P\x82\x93\x94\x96\x97")) {
    EXPECT_THAT(refusal(std::string("NN") + opcode + "abcdefgh\n\n"), HasSubstr("opcode")) << static_cast<int>(opcode);
  }
}

TEST(Pickle, RefusesMissingValuesAndMarks) {
  for (const char* bytes :
       {"",  "t",    "R",     "NR",     "K\1)R)", "(NR",  "b",  "Nb", "s",    "NNs",   "u",  "(u",  "}(Nu", "a",   "e",  "]e",
        "Q", "\x85", "N\x86", "NN\x87", "q\1",    "(q\1", "NN", "(N", "\x81", "N\x81", "Na", "NNa", "]NNs", "}Na", "NNR"}) {
    EXPECT_NE(refusal(bytes), "accepted") << bytes;
  }
}

TEST(Pickle, RefusesMemoNumbersOutOfOrderWithoutAllocatingThem) {
  EXPECT_THAT(refusal("Nr" + number(0xffffffff, 4)), HasSubstr("memo number 4294967295"));
  EXPECT_THAT(refusal("Nq\2"), HasSubstr("memo number 2"));
  EXPECT_THAT(refusal("j" + number(0xfffffff0, 4)), HasSubstr("not set"));
  EXPECT_THAT(refusal(std::string("(Nq\1h\0t", 7)), HasSubstr("not set")) << "number 0 was left out";
}

TEST(Pickle, RefusesLengthsBeyondTheFileWithoutAllocatingThem) {
  EXPECT_NE(refusal("X\xff\xff\xff\xff"
                    "abc"),
            "accepted");
  EXPECT_NE(refusal("T\xff\xff\xff\x7f"
                    "abc"),
            "accepted");
  EXPECT_NE(refusal("U\xff"
                    "abc"),
            "accepted");
  EXPECT_NE(refusal("\x8a\xff"
                    "abc"),
            "accepted");
  EXPECT_THAT(refusal("c" + std::string(1000, 'x') + "\nname\n"), HasSubstr("too long"));
  EXPECT_NE(refusal("cmodule"), "accepted");
}

TEST(Pickle, RefusesDeepNesting) {
  EXPECT_THAT(refusal(std::string(65, '(') + std::string(65, 't')), HasSubstr("too deep"));
  EXPECT_EQ(refusal(std::string(64, '(') + std::string(64, 't')), "accepted");
  std::string nested = "N", lists;
  for (int i = 0; i < 100'000; ++i) nested += '\x85';
  EXPECT_THAT(refusal(nested), HasSubstr("too deep"));
  for (int i = 0; i < 100; ++i) lists = "]" + lists + "a";
  EXPECT_THAT(refusal("]" + lists), HasSubstr("too deep"));
}

TEST(Pickle, ALoopIsNoProblem) {
  const auto tree = read(pickled::whole("]q\1h\1a"));
  EXPECT_EQ(tree[tree.root].items, (std::vector<ValueId>{tree.root}));
}

TEST(Pickle, RefusesTooManyValuesBytesAndArguments) {
  PickleLimits few;
  few.values = 10;
  EXPECT_THAT(refusal("(NNNNNNNNNNNt", few), HasSubstr("too many values"));
  PickleLimits brief;
  brief.bytes = 100;
  EXPECT_THAT(refusal("(" + std::string(200, 'N') + "t", brief), HasSubstr("too long"));
  EXPECT_THAT(refusal(pickled::call("torch", "Size", std::vector<std::string>(17, "N"))), HasSubstr("too many arguments"));
}

TEST(Pickle, LeavesTheCursorBehindIt) {
  const auto bytes = pickled::whole("N") + "rest";
  const auto source = source_of(bytes);
  ByteCursor cursor(source, 0, bytes.size());
  static_cast<void>(read_pickle(cursor));
  EXPECT_EQ(cursor.text(4), "rest");
}

}  // namespace
}  // namespace retouchd::inference
