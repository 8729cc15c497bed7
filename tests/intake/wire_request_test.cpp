#include "intake/wire/request.h"

#include <gmock/gmock.h>

#include <array>
#include <limits>
#include <random>

#include "base/file.h"
#include "base/nearest_name.h"
#include "intake/wire/reply.h"

namespace retouchd::wire {
namespace {

using testing::HasSubstr;

std::string refusal_of(const std::string& text, bool has_content = false) {
  const auto parsed = parse_request(text, has_content);
  if (parsed.operation) return "accepted";
  EXPECT_EQ(parsed.operation.error().code, ErrorCode::kInvalidRequest);
  return parsed.operation.error().message;
}

template <class Op>
Op round_trip(const Op& op, bool has_content = false) {
  const auto text = to_text({"r1", op});
  EXPECT_TRUE(text.ok());
  auto parsed = parse_request(*text, has_content);
  EXPECT_TRUE(parsed.operation.ok()) << *text;
  EXPECT_EQ(parsed.id, "r1");
  EXPECT_EQ(parsed.op, Op::kName);
  return std::get<Op>(*parsed.operation);
}

TEST(Request, SubmitKeepsEveryFieldOnItsWay) {
  Submit submit;
  submit.path = "/in/ä \"quoted\".jpg";
  submit.name = "name.jpg";
  submit.output = "/out/";
  submit.network = "identity";
  submit.key = "k";
  submit.priority = -7;
  submit.deadline_seconds = 1.5;
  submit.preview = false;
  submit.overwrite = true;
  const Submit back = round_trip(submit);
  EXPECT_EQ(back.path, submit.path);
  EXPECT_EQ(back.name, submit.name);
  EXPECT_EQ(back.output, submit.output);
  EXPECT_EQ(back.network, submit.network);
  EXPECT_EQ(back.key, submit.key);
  EXPECT_EQ(back.priority, submit.priority);
  EXPECT_EQ(back.deadline_seconds, 1.5);
  EXPECT_FALSE(back.preview);
  EXPECT_TRUE(back.overwrite);
}

TEST(Request, SubmitSaysWhatTheDaemonIsToDecide) {
  Submit submit{.content = std::string(64, 'f'), .name = "a.jpg"};
  Submit back = round_trip(submit);
  EXPECT_EQ(back.content, submit.content);
  EXPECT_EQ(back.policy, "");
  EXPECT_EQ(back.skip_good, std::nullopt);
  EXPECT_FALSE(back.preview_only);
  for (const std::string policy : {"local", "hybrid", "progressive"}) {
    submit.policy = policy;
    submit.skip_good = policy == "local";
    submit.preview_only = true;
    back = round_trip(submit);
    EXPECT_EQ(back.policy, policy);
    EXPECT_EQ(back.skip_good, submit.skip_good);
    EXPECT_TRUE(back.preview_only);
  }
}

TEST(Request, OtherOperationsKeepTheirFieldsOnTheirWay) {
  EXPECT_EQ(round_trip(Status{4}).job, 4);
  EXPECT_EQ(round_trip(Cancel{5}).job, 5);
  EXPECT_EQ(round_trip(Retry{6}).job, 6);
  const Events events = round_trip(Events{7, 3});
  EXPECT_EQ(events.job, 7);
  EXPECT_EQ(events.since, 3);
  const List list = round_trip(List{"done", "zmq", 9, 12});
  EXPECT_EQ(list.state, "done");
  EXPECT_EQ(list.origin, "zmq");
  EXPECT_EQ(list.after, 9);
  EXPECT_EQ(list.limit, 12);
  const Fetch fetch = round_trip(Fetch{8, 100, 50});
  EXPECT_EQ(fetch.offset, 100U);
  EXPECT_EQ(fetch.length, 50U);
  const Upload upload = round_trip(Upload{std::string(64, 'a'), 5'000'000'000, 7}, true);
  EXPECT_EQ(upload.sha256, std::string(64, 'a'));
  EXPECT_EQ(upload.size, 5'000'000'000U);
  EXPECT_EQ(upload.offset, 7U);
  EXPECT_EQ(round_trip(Upload{std::string(64, '0'), 1}).offset, 0U);
  round_trip(Ping{});
  round_trip(Models{});
  round_trip(Stats{});
}

TEST(Request, RefusalsNameTheProblemAndTheNearestName) {
  EXPECT_THAT(refusal_of("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("must be a JSON object, not an array"));
  EXPECT_THAT(refusal_of(R"({"op":"ping"})"), HasSubstr("\"v\""));
  EXPECT_THAT(refusal_of(R"({"v":2,"op":"ping"})"), HasSubstr("this daemon speaks version 1"));
  EXPECT_THAT(refusal_of(R"({"v":1})"), HasSubstr("\"op\" is missing"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submt"})"), HasSubstr("\"submit\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","ouptut":"/b"})"), HasSubstr("\"output\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"status"})"), HasSubstr("status needs the field \"job\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"status","job":"3"})"), HasSubstr("must be an integer, not a string"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"status","job":0})"), HasSubstr("at least 1"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"status","job":99999999999999999999})"), HasSubstr("\"job\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"list","limit":1001})"), HasSubstr("from 1 to 1000"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","deadline_seconds":0})"), HasSubstr("above 0"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","deadline_seconds":1e10})"), HasSubstr("at most 315360000"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","deadline_seconds":"10m"})"), HasSubstr("must be a number"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit"})"), HasSubstr("needs \"path\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a"})", true), HasSubstr("not several"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit"})", true), HasSubstr("\"name\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"ping"})", true), HasSubstr("only submit and upload take a binary frame"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a\u0000b"})"), HasSubstr("zero byte"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","policy":"hybird"})"), HasSubstr("nearest known one is \"hybrid\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","policy":""})"), HasSubstr("\"policy\" is empty"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","skip_good":null})"), HasSubstr("must be true or false, not null"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","content":"../../etc/passwd","name":"a"})"), HasSubstr("64 lower-case"));
  const std::string hash(64, 'a');
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","content":")" + hash + R"("})"), HasSubstr("needs the field \"name\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"submit","path":"/a","content":")" + hash + R"("})"), HasSubstr("not several"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"upload","size":1})"), HasSubstr("needs the field \"sha256\""));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"upload","sha256":7,"size":1})"), HasSubstr("a string, not an integer"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"upload","size":1,"sha256":")" + std::string(64, 'A') + R"("})"),
              HasSubstr("64 lower-case"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"upload","size":0,"sha256":")" + hash + R"("})"),
              HasSubstr("\"size\" must be at least 1"));
  EXPECT_THAT(refusal_of(R"({"v":1,"op":"upload","size":1,"offset":-1,"sha256":")" + hash + R"("})"), HasSubstr("at least 0"));
  EXPECT_THAT(refusal_of(R"({"v":1,"id":7,"op":"ping"})"), HasSubstr("\"id\""));
  EXPECT_THAT(refusal_of(std::string(70'000, ' ')), HasSubstr("larger than 64 KiB"));
}

TEST(Request, ARefusedRequestKeepsItsId) {
  EXPECT_EQ(parse_request(R"({"v":9,"id":"x","op":"ping"})", false).id, "x");
  EXPECT_EQ(parse_request(R"({"v":1,"id":"x","op":"nonsense"})", false).id, "x");
}

TEST(Request, TextThatIsNotUtf8IsRefusedBeforeItIsSent) {
  Submit submit;
  submit.path = "/in/\xff.jpg";
  const auto text = to_text({"r", submit});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, ErrorCode::kInvalidRequest);
}

TEST(Request, NothingThatArrivesThrowsOrHangs) {
  std::mt19937 random(20261121);  // NOLINT: the same every time
  const std::string hash = sha256_hex({});
  const std::array<std::string, 2> good{
      R"({"v":1,"id":"a","op":"submit","path":"/in/a.jpg","output":"/out/","priority":3,"preview":true,"key":"k","policy":"local"})",
      R"({"v":1,"id":"b","op":"upload","sha256":")" + hash + R"(","size":1048577,"offset":1048576})"};
  const std::vector<std::string> pieces{
      "{", "}", "[", "]", "\"", ":", ",", "1e999", "-0", "null", "\\u0000", "\xff", "true", "\"op\"", "9223372036854775808"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text = good[random() % good.size()];
    for (std::size_t i = 0, changes = 1 + random() % 6; i < changes; ++i) {
      const std::size_t at = random() % (text.size() + 1);
      switch (random() % 4) {
        case 0:
          text.insert(at, pieces[random() % pieces.size()]);
          break;
        case 1:
          text.erase(at, random() % 8);
          break;
        case 2:
          text = text.substr(0, at);
          break;
        default:
          if (at < text.size()) text[at] = static_cast<char>(random());
      }
    }
    const auto parsed = parse_request(text, random() % 2 == 0);
    if (!parsed.operation) {
      ASSERT_FALSE(parsed.operation.error().message.empty()) << text;
    }
    (void)parse_reply(text);
  }
  EXPECT_FALSE(parse_request(std::string(60'000, '['), false).operation.ok());
}

TEST(NearestName, ForgivesASwapADropAndAReplacement) {
  constexpr std::array<std::string_view, 3> kKnown{"submit", "status", "list"};
  EXPECT_EQ(nearest_name("sumbit", kKnown), "submit");
  EXPECT_EQ(nearest_name("stats", kKnown), "status");
  EXPECT_EQ(nearest_name("lost", kKnown), "list");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(Reply, CarriesAnErrorThereAndBack) {
  const auto reply = parse_reply(error_reply("7", make_error(ErrorCode::kBusy, "full"), std::chrono::milliseconds(2'000)));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->id, "7");
  ASSERT_TRUE(reply->error.has_value());
  EXPECT_EQ(reply->error->code, ErrorCode::kBusy);
  EXPECT_EQ(reply->retry_after, std::chrono::milliseconds(2'000));
  EXPECT_EQ(reply->body["error"]["remedy"], traits_of(ErrorCode::kBusy).remedy);
}

TEST(Reply, BytesThatAreNoUtf8BecomeReplacementCharacters) {
  const auto reply = parse_reply(ok_reply("1", {{"name", "\xff"}}));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->body["name"], "\xef\xbf\xbd");
}

}  // namespace
}  // namespace retouchd::wire
