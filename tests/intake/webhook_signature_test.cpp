#include "intake/webhook_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace retouchd::intake {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class WebhookSecret : public testing::Test {
 protected:
  fs::path file(std::string_view content, fs::perms mode = fs::perms(0600)) {
    const auto path = folder_.write("secret", content);
    fs::permissions(path, mode);
    return path;
  }
  static void expect_refused(const fs::path& path, const std::string& reason) {
    const auto secret = read_webhook_secret(path);
    ASSERT_FALSE(secret) << *secret;
    EXPECT_EQ(secret.error().code, ErrorCode::kBadConfig);
    EXPECT_THAT(secret.error().message, HasSubstr(path.string()));
    EXPECT_THAT(secret.error().message, HasSubstr(reason));
  }

  TemporaryFolder folder_;
};

TEST(WebhookSignature, IsThatOfStandardWebhooks) {
  // By Python: base64.b64encode(hmac.new(key, id + b"." + timestamp + b"." + body, hashlib.sha256).digest())
  EXPECT_EQ(webhook_signature("0123456789abcdef0123456789abcdef", "01JD7ZQ4W8M3N5P6R7S8T9V0AB",
                              std::chrono::sys_seconds(std::chrono::seconds(1'763'746'835)), R"({"v":1,"kind":"done"})"),
            "v1,WSzqIS7668QxqMm/22rtypzwilXXXlXy8DSs3eS3BNQ=");
}

TEST_F(WebhookSecret, IsReadWithoutTheEndOfItsLine) {
  for (const char* end : {"", "\n", "\r\n", "\n\n"}) {
    const auto secret = read_webhook_secret(file(std::string("0123456789abcdef") + end));
    ASSERT_TRUE(secret) << secret.error().message;
    EXPECT_EQ(*secret, "0123456789abcdef");
  }
}

TEST_F(WebhookSecret, MayHoldAnyBytes) {
  const std::string bytes("\0\n\x80 and twelve more", 19);
  const auto secret = read_webhook_secret(file(bytes));
  ASSERT_TRUE(secret) << secret.error().message;
  EXPECT_EQ(*secret, bytes);
}

TEST_F(WebhookSecret, MayBeReadByTheGroup) { EXPECT_TRUE(read_webhook_secret(file("0123456789abcdef", fs::perms(0640)))); }

TEST_F(WebhookSecret, OfEverybodyIsRefused) {
  for (const auto mode : {0644, 0602}) expect_refused(file("0123456789abcdef", fs::perms(mode)), "every user");
}

TEST_F(WebhookSecret, ThatCouldBeGuessedIsRefused) {
  expect_refused(file("0123456789abcde\n"), "holds 15 bytes");
  expect_refused(file(""), "holds 0 bytes");
}

TEST_F(WebhookSecret, ThatIsNoFileIsRefused) {
  expect_refused(folder_.path() / "none", "cannot be read: No such file");
  expect_refused(folder_.path(), "not a regular file");
  expect_refused(file(std::string(4097, 'x')), "larger than 4096 bytes");
}

}  // namespace
}  // namespace retouchd::intake
