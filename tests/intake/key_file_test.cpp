#include "intake/wire/key_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/temporary_folder.h"

namespace retouchd::wire {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct KeyFileTest : testing::Test {
  TemporaryFolder folder;
  KeyPair keys = *make_key_pair();

  fs::path write(const std::string& text, fs::perms mode = fs::perms(0600)) const {
    const auto file = folder.write("some.key", text);
    fs::permissions(file, mode);
    return file;
  }
  static std::string refusal_of(const fs::path& file) {
    const auto read = read_key_file(file);
    if (read) return "accepted";
    EXPECT_EQ(read.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(read.error().message, HasSubstr(file.string()));
    return read.error().message;
  }
  static std::string text_of(const std::string& public_key, const std::string& secret_key) {
    return "public = " + public_key + "\nsecret = " + secret_key + "\n";
  }
};

TEST_F(KeyFileTest, WhatIsWrittenIsReadForTheOwnerAlone) {
  const auto file = folder.path() / "new/state/cloud.key";
  ASSERT_TRUE(write_key_file(file, keys, false).ok());
  const auto read = read_key_file(file);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->public_key, keys.public_key);
  EXPECT_EQ(read->secret_key, keys.secret_key);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms(0600));
  EXPECT_EQ(fs::status(file.parent_path()).permissions() & fs::perms::others_all, fs::perms::none);
}

TEST_F(KeyFileTest, KeysAreReplacedOnlyWhenThatIsWanted) {
  const auto file = folder.path() / "cloud.key";
  ASSERT_TRUE(write_key_file(file, keys, false).ok());
  const KeyPair others = *make_key_pair();
  EXPECT_NE(others.secret_key, keys.secret_key);
  const auto refused = write_key_file(file, others, false);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutputExists);
  EXPECT_EQ(read_key_file(file)->public_key, keys.public_key);
  ASSERT_TRUE(write_key_file(file, others, true).ok());
  EXPECT_EQ(read_key_file(file)->public_key, others.public_key);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms(0600));
}

TEST_F(KeyFileTest, CommentsAndBlanksAreForgiven) {
  const auto file = write("# mine\n\n  public=" + keys.public_key + " \r\n\tsecret =  " + keys.secret_key);
  EXPECT_EQ(refusal_of(file), "accepted");
}

TEST_F(KeyFileTest, AFileThatOthersCanReadIsRefused) {
  const std::string text = text_of(keys.public_key, keys.secret_key);
  for (const int mode : {0604, 0606, 0620, 0644, 0666})
    EXPECT_THAT(refusal_of(write(text, fs::perms(static_cast<unsigned>(mode)))), HasSubstr("chmod 600")) << std::oct << mode;
  EXPECT_EQ(refusal_of(write(text, fs::perms(0400))), "accepted");
}

TEST_F(KeyFileTest, EveryFaultIsNamed) {
  const std::string short_key = keys.secret_key.substr(1);
  std::string spoilt = keys.public_key;
  spoilt[7] = '"';  // not in the alphabet
  EXPECT_THAT(refusal_of(folder.path() / "none.key"), HasSubstr("retouch keygen"));
  EXPECT_THAT(refusal_of(folder.path()), HasSubstr("not a file"));
  EXPECT_THAT(refusal_of(write("")), HasSubstr("`secret = ` is missing"));
  EXPECT_THAT(refusal_of(write("public = " + keys.public_key)), HasSubstr("`secret = ` is missing"));
  EXPECT_THAT(refusal_of(write("secret = " + keys.secret_key)), HasSubstr("`public = ` is missing"));
  EXPECT_THAT(refusal_of(write("hello\n")), HasSubstr("line 1"));
  EXPECT_THAT(refusal_of(write(text_of(keys.public_key, short_key))), HasSubstr("line 2 has no key of 40 characters"));
  EXPECT_THAT(refusal_of(write(text_of(spoilt, keys.secret_key))), HasSubstr("line 1 has no key of 40 characters"));
  EXPECT_THAT(refusal_of(write(text_of(keys.public_key, keys.secret_key) + "secret = x")), HasSubstr("line 3 is the second"));
  EXPECT_THAT(refusal_of(write(text_of(make_key_pair()->public_key, keys.secret_key))), HasSubstr("does not belong"));
}

TEST_F(KeyFileTest, TheKeysOfTheManualAreRefused) {
  EXPECT_THAT(refusal_of(write(text_of("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"))),
              HasSubstr("zmq_curve(7)"));
  EXPECT_THAT(refusal_of(write(text_of("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"))),
              HasSubstr("zmq_curve(7)"));
  EXPECT_TRUE(is_example_key("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"));
  EXPECT_TRUE(is_curve_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"));
  EXPECT_FALSE(is_curve_key(std::string(39, 'a') + " "));
}

}  // namespace
}  // namespace retouchd::wire
