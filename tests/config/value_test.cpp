#include "config/value.h"

#include <gtest/gtest.h>

namespace retouchd::config {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

Environment at_home() {
  Environment environment;
  environment.home = "/home/ada";
  return environment;
}

template <class T>
std::optional<T> read(const Value<T>& value, std::string_view text) {
  auto result = value.parse(text, at_home());
  if (!result) return std::nullopt;
  return *result;
}

template <class T>
std::string why_not(const Value<T>& value, std::string_view text, const Environment& environment = at_home()) {
  auto result = value.parse(text, environment);
  return result ? "accepted" : result.error().message;
}

TEST(WholeNumber, KeepsToItsRangeAndMultiple) {
  const auto value = whole_number(128, 2048, 8);
  EXPECT_EQ(read(value, "128"), 128);
  EXPECT_EQ(read(value, "2048"), 2048);
  for (const char* text : {"", "120", "2056", "129", "512.0", "5e2", "0x200", "512 ", "+512", "a", "99999999999999999999"}) {
    EXPECT_EQ(read(value, text), std::nullopt) << text;
  }
  EXPECT_EQ(value.allowed, "a multiple of 8 from 128 to 2048");
  EXPECT_EQ(whole_number(-5, 5).allowed, "a whole number from -5 to 5");
  EXPECT_EQ(read(whole_number(-5, 5), "-5"), -5);
}

TEST(Number, KeepsToItsRange) {
  const auto value = number(0.05, 10);
  EXPECT_EQ(read(value, "0.05"), 0.05);
  EXPECT_EQ(read(value, "10"), 10);
  for (const char* text : {"", "0.04", "10.1", "nan", "inf", "-1", "1,5", "1.5 "})
    EXPECT_EQ(read(value, text), std::nullopt) << text;
  EXPECT_EQ(value.allowed, "a number from 0.05 to 10");
}

TEST(YesOrNo, IsOnlyTrueOrFalse) {
  EXPECT_EQ(read(yes_or_no(), "true"), true);
  EXPECT_EQ(read(yes_or_no(), "false"), false);
  for (const char* text : {"", "yes", "no", "on", "off", "1", "0", "True"})
    EXPECT_EQ(read(yes_or_no(), text), std::nullopt) << text;
}

TEST(DurationValue, AsksForAUnit) {
  const auto value = duration(1s, 24h);
  EXPECT_EQ(read(value, "90s"), 90s);
  EXPECT_EQ(why_not(value, "90"), "write a whole number and one of the units ms, s, m, h, d");
  EXPECT_EQ(why_not(value, "25h"), "");
  EXPECT_EQ(why_not(value, "999ms"), "");
  EXPECT_EQ(value.allowed, "a duration from 1s to 1d");
}

TEST(SizeValue, AsksForABinaryUnit) {
  const auto value = size(mebibytes(64), gibibytes(8));
  EXPECT_EQ(read(value, "8GiB"), gibibytes(8));
  EXPECT_EQ(why_not(value, "8GB"), "write a whole number and one of the units KiB, MiB, GiB, TiB, or plain bytes");
  EXPECT_EQ(why_not(value, "9GiB"), "");
  EXPECT_EQ(value.allowed, "a size from 64MiB to 8GiB");
}

TEST(Permissions, AreFourOctalDigits) {
  EXPECT_EQ(read(permissions(), "0660"), 0660U);
  EXPECT_EQ(read(permissions(), "0600"), 0600U);
  for (const char* text : {"660", "0o660", "00660", "0680", "1660", "rw-r", ""}) {
    EXPECT_EQ(why_not(permissions(), text), "write four octal digits") << text;
  }
  EXPECT_NE(why_not(permissions(), "0060").find("owner needs read and write"), std::string::npos);
  EXPECT_NE(why_not(permissions(), "0770").find("a socket is not executed"), std::string::npos);
  EXPECT_EQ(permissions().print(0600), "0600");
}

TEST(Text, IsOneShortLine) {
  const auto value = text(4, "a name");
  EXPECT_EQ(read(value, "abcd"), "abcd");
  for (const char* bad : {"", "abcde", "a\nb", "a\tb", "\x7f"}) EXPECT_EQ(read(value, bad), std::nullopt);
}

TEST(NetworkName, CannotLeaveItsFolder) {
  EXPECT_EQ(read(network_name(), "restormer-denoise_1.0"), "restormer-denoise_1.0");
  for (const char* text : {"", "../secret", "a/b", "a b", "/abs"}) EXPECT_EQ(read(network_name(), text), std::nullopt) << text;
}

TEST(Folder, IsMadeAbsoluteAndPlain) {
  EXPECT_EQ(read(folder(), "/srv/photos"), fs::path("/srv/photos"));
  EXPECT_EQ(read(folder(), "/srv/photos/"), fs::path("/srv/photos"));
  EXPECT_EQ(read(folder(), "/srv/./a/../photos//x"), fs::path("/srv/photos/x"));
  EXPECT_EQ(read(folder(), "~"), fs::path("/home/ada"));
  EXPECT_EQ(read(folder(), "~/Pictures"), fs::path("/home/ada/Pictures"));
  EXPECT_EQ(read(folder(), "~/"), fs::path("/home/ada"));
  EXPECT_EQ(read(folder(), "/"), fs::path("/"));
}

TEST(Folder, SaysWhyAPathIsRefused) {
  EXPECT_EQ(why_not(folder(), "photos"), "relative paths would depend on where retouchd is started");
  EXPECT_EQ(why_not(folder(), ""), "relative paths would depend on where retouchd is started");
  EXPECT_EQ(why_not(folder(), "~bob/x"), "only your own home folder can be written with ~, as ~/...");
  EXPECT_EQ(why_not(folder(), "~/x", Environment{}), "~ is unknown because HOME is not set");
  EXPECT_EQ(why_not(folder(), "/a\nb"), "control characters are not allowed");
}

TEST(Choice, ListsWhatIsAllowed) {
  const auto value = choice<int>({{"one", 1}, {"two", 2}, {"three", 3}});
  EXPECT_EQ(read(value, "two"), 2);
  EXPECT_EQ(read(value, "Two"), std::nullopt);
  EXPECT_EQ(value.print(3), "three");
  EXPECT_EQ(value.allowed, "one, two or three");
}

TEST(OrAuto, LeavesTheValueUnset) {
  const auto value = or_auto<std::int64_t>(whole_number(0, 9), 0);
  EXPECT_EQ(read(value, "auto"), 0);
  EXPECT_EQ(read(value, "7"), 7);
  EXPECT_EQ(value.print(0), "auto");
  EXPECT_EQ(value.print(7), "7");
  EXPECT_EQ(value.allowed, "auto or a whole number from 0 to 9");
}

}  // namespace
}  // namespace retouchd::config
