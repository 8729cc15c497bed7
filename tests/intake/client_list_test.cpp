#include "intake/client_list.h"

#include <gmock/gmock.h>

#include "intake/wire/key_file.h"
#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

using testing::HasSubstr;

struct ClientListTest : testing::Test {
  TemporaryFolder folder;
  std::string key = wire::make_key_pair()->public_key;

  Result<ClientList> read(const std::string& text) const { return ClientList::read(folder.write("clients", text)); }
  std::string refusal_of(const std::string& text) const {
    const auto list = read(text);
    if (list) return "accepted";
    EXPECT_EQ(list.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(list.error().message, HasSubstr((folder.path() / "clients").string()));
    return list.error().message;
  }
};

TEST_F(ClientListTest, KnowsTheNamesOfItsKeys) {
  const std::string other = wire::make_key_pair()->public_key;
  const auto list = read("# studio\n\n  " + key + "\tstudio-1\r\n" + other + " studio-1\n#" + key + " gone\n");
  ASSERT_TRUE(list.ok()) << list.error().message;
  EXPECT_FALSE(wire::is_curve_key("#" + std::string(39, '0'))) << "a line of comment is never a key";
  EXPECT_EQ(list->size(), 2U);
  EXPECT_EQ(list->name_of(key), "studio-1");
  EXPECT_EQ(list->name_of(other), "studio-1") << "one client may have two keys";
  EXPECT_EQ(list->name_of(wire::make_key_pair()->public_key), std::nullopt);
  EXPECT_EQ(list->name_of(""), std::nullopt);
}

TEST_F(ClientListTest, BadLinesAreRefusedByTheirNumber) {
  EXPECT_THAT(refusal_of("\n" + key.substr(1) + " a\n"), HasSubstr("line 2: a line begins with a public key"));
  EXPECT_THAT(refusal_of("studio " + key), HasSubstr("line 1: a line begins with a public key"));
  EXPECT_THAT(refusal_of(key), HasSubstr("line 1: after the key a name"));
  EXPECT_THAT(refusal_of(key + " two words"), HasSubstr("line 1: after the key a name"));
  for (const std::string name : {"..", ".hidden", "a/b", "ä", "a:b"})
    EXPECT_THAT(refusal_of(key + " " + name), HasSubstr("after the key a name")) << name;
  EXPECT_THAT(refusal_of(key + " " + std::string(65, 'a')), HasSubstr("after the key a name"));
  EXPECT_THAT(refusal_of(key + " a\n" + key + " b"), HasSubstr("line 2: that key stands there twice"));
  EXPECT_THAT(refusal_of("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID a"), HasSubstr("zmq_curve(7)"));
}

TEST_F(ClientListTest, FilesThatCannotBeTrustedAreRefused) {
  const auto missing = ClientList::read(folder.path() / "none");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().message, HasSubstr("does not exist"));
  EXPECT_FALSE(ClientList::read(folder.path()).ok());
  const auto file = folder.write("open", key + " a");
  std::filesystem::permissions(file, std::filesystem::perms(0666));
  EXPECT_THAT(ClientList::read(file).error().message, HasSubstr("chmod o-w"));
}

}  // namespace
}  // namespace retouchd::intake
