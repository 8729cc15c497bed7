#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "image/file_codec.h"
#include "image/metadata.h"
#include "sandbox/codec_pool.h"
#include "tests/image/sample_pictures.h"
#include "tests/sanitizer.h"
#include "tests/temporary_folder.h"

/// A worker that was taken over costs its picture. What it tries is in hostile_codec.cpp.
namespace retouchd::sandbox {
namespace {

using image::FileFormat;
using ::testing::HasSubstr;

std::vector<std::uint8_t> bytes_of_text(std::string_view text) { return {text.begin(), text.end()}; }

class HostileWorker : public ::testing::Test {
 protected:
  HostileWorker() {
    CodecPool::Options options;
    options.workers = 1;
    options.timeout = std::chrono::seconds(2);
    options.program = RETOUCHD_HOSTILE_CODEC;
    auto opened = CodecPool::open(options);
    EXPECT_TRUE(opened) << opened.error().message;
    if (opened) pool_ = *std::move(opened);
  }

  Error error_of(std::string_view command) {
    auto picture = pool_->decode(bytes_of_text("HOSTILE " + std::string(command) + "\n" + std::string(100, ' ')), {});
    EXPECT_FALSE(picture) << command << " passed";
    return picture ? Error{} : picture.error();
  }

  /// The pool goes on: a good picture is read as if nothing had been.
  void expect_good_picture() {
    const image::Picture picture = image::testing::make_picture(40, 30, CV_8UC3);
    const auto file = image::encode(picture, FileFormat::kPng, {});
    ASSERT_TRUE(file);
    const auto decoded = pool_->decode(*file, {});
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(image::testing::largest_difference(decoded->colour, picture.colour), 0);
  }

  std::unique_ptr<CodecPool> pool_;
};

struct Attempt {
  const char* command;
  ErrorCode code;
  const char* message;
};

void PrintTo(const Attempt& attempt, std::ostream* out) { *out << attempt.command; }

class Attempts : public HostileWorker, public ::testing::WithParamInterface<Attempt> {};

TEST_P(Attempts, CostOnePictureAndNothingElse) {
  const Error error = error_of(GetParam().command);
  if (!kIsSanitized) {
    EXPECT_EQ(error.code, GetParam().code) << error.message;
    EXPECT_THAT(error.message, HasSubstr(GetParam().message));
  }
  expect_good_picture();
}

constexpr auto kCrashed = ErrorCode::kDecoderCrashed;
constexpr auto kCorrupt = ErrorCode::kCorruptPicture;
const char* const kDenied = "Operation not permitted";
const char* const kKilled = "SIGSYS";

INSTANTIATE_TEST_SUITE_P(
    Crash, Attempts,
    ::testing::Values(Attempt{"segv", kCrashed, "the decoder died of signal 11 (SIGSEGV) on this picture, twice"},
                      Attempt{"abort", kCrashed, "SIGABRT"}, Attempt{"exit", kCrashed, "ended with status 0"},
                      Attempt{"stack", kCrashed, "SIGSEGV"}, Attempt{"beyond", kCrashed, "SIGSEGV"}));

INSTANTIATE_TEST_SUITE_P(Time, Attempts,
                         ::testing::Values(Attempt{"loop", kCrashed, "took longer than 2 s"},
                                           Attempt{"never", kCrashed, "took longer than 2 s"}));

INSTANTIATE_TEST_SUITE_P(Memory, Attempts,
                         ::testing::Values(Attempt{"allocate", ErrorCode::kOverMemoryBudget, "not enough memory"},
                                           Attempt{"leak", ErrorCode::kInputChanged, "another picture"}));

INSTANTIATE_TEST_SUITE_P(Forbidden, Attempts,
                         ::testing::Values(Attempt{"socket", kCrashed, kKilled}, Attempt{"exec", kCrashed, kKilled},
                                           Attempt{"ptrace", kCrashed, kKilled}, Attempt{"kill", kCrashed, kKilled},
                                           Attempt{"unshare", kCrashed, kKilled}, Attempt{"open", kCorrupt, kDenied},
                                           Attempt{"create", kCorrupt, kDenied}, Attempt{"stat", kCorrupt, kDenied},
                                           Attempt{"unlink", kCorrupt, kDenied}, Attempt{"fork", kCorrupt, kDenied},
                                           Attempt{"code", kCorrupt, kDenied}, Attempt{"truncate", kCorrupt, kDenied}));

INSTANTIATE_TEST_SUITE_P(
    Lies, Attempts,
    ::testing::Values(Attempt{"header", kCrashed, "a picture that cannot be"}, Attempt{"size", kCrashed, "outside its memory"},
                      Attempt{"other", ErrorCode::kInputChanged, "another picture"},
                      Attempt{"type", kCrashed, "a plane of 64x64"}, Attempt{"offset", kCrashed, "outside its memory"},
                      Attempt{"pages", kCrashed, "pages that were not there"}, Attempt{"cut", kCrashed, "ends early"},
                      Attempt{"counts", kCrashed, "ends early"}, Attempt{"nothing", kCrashed, "unusable"},
                      Attempt{"length", kCrashed, "too great length"}, Attempt{"missing", kCrashed, "left out"},
                      Attempt{"code of error", kCrashed, "an error that it cannot have"},
                      Attempt{"error", kCrashed, "an error that it cannot have"}, Attempt{"number", kCrashed, "not asked"},
                      Attempt{"garbage", kCrashed, "not asked"}, Attempt{"keep", kCrashed, "does not let go"},
                      Attempt{"text", kCorrupt, "?[2J??xxx"}));

TEST_F(HostileWorker, AnswersTwiceAndIsReplaced) {
  EXPECT_THAT(error_of("twice").message, ::testing::AnyOf(HasSubstr("the first answer"), HasSubstr("answered twice")));
  expect_good_picture();
}

TEST_F(HostileWorker, TellsThatAFileWasCutShort) {
  auto file = input_of(bytes_of_text("HOSTILE end\n"));
  ASSERT_TRUE(file);
  file->identity.size = mebibytes(1).value;
  const auto picture = pool_->decode(*file, {});
  ASSERT_FALSE(picture);
  EXPECT_EQ(picture.error().code, ErrorCode::kInputChanged);
  EXPECT_THAT(picture.error().message, HasSubstr("cut short"));
  expect_good_picture();
}

image::Picture commanding(const std::string& command) {
  image::Picture picture = image::testing::make_picture(40, 30, CV_8UC3);
  image::Metadata metadata;
  metadata.comment = "HOSTILE " + command;
  picture.metadata = std::make_shared<const image::Metadata>(std::move(metadata));
  return picture;
}

TEST_F(HostileWorker, CannotFillTheDiskWithAnEncodedPicture) {
  const auto file = memory_file("output");
  ASSERT_TRUE(file);
  const auto encoded = pool_->encode(commanding("grow"), FileFormat::kPng, {}, file->get());
  ASSERT_FALSE(encoded);
  struct stat info {};
  ASSERT_EQ(::fstat(file->get(), &info), 0);
  EXPECT_LE(info.st_size, static_cast<off_t>(mebibytes(70).value));
  expect_good_picture();
}

TEST_F(HostileWorker, CrashesAndOpensFilesWhileEncodingInVain) {
  const auto crashed = pool_->encode(commanding("segv"), FileFormat::kPng, {});
  ASSERT_FALSE(crashed);
  if (!kIsSanitized) {
    EXPECT_EQ(crashed.error().message, "the encoder died of signal 11 (SIGSEGV) on this picture, twice");
  }
  const auto opened = pool_->encode(commanding("open"), FileFormat::kPng, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().message, kDenied);
  expect_good_picture();
}

TEST_F(HostileWorker, CannotWriteAnOutputAfterItsAnswer) {
  const TemporaryFolder folder;
  const auto on_disk = [&](const std::string& command) {
    const UniqueFd file(::open((folder.path() / command).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    return pool_->encode(commanding(command), FileFormat::kPng, {}, file.get()).ok();
  };
  EXPECT_TRUE(on_disk("nothing"));
  EXPECT_TRUE(on_disk("none"));
  EXPECT_EQ(pool_->counts().started, 1U);
  EXPECT_TRUE(on_disk("hold"));
  EXPECT_EQ(pool_->counts().started, 2U);
  EXPECT_TRUE(pool_->encode(commanding("nothing"), FileFormat::kPng, {}));
  EXPECT_EQ(pool_->counts().started, 2U);
  expect_good_picture();
}

TEST_F(HostileWorker, DoesNotCostTheNextPictureWhenItOnlySeemedToGoOn) {
  // Answers as if all were well, and is never heard of again.
  EXPECT_TRUE(pool_->decode(bytes_of_text("HOSTILE silent\n"), {}));
  expect_good_picture();
}

TEST_F(HostileWorker, IsCounted) {
  static_cast<void>(error_of("segv"));
  static_cast<void>(error_of("loop"));
  expect_good_picture();
  const PoolCounts counts = pool_->counts();
  EXPECT_EQ(counts.crashes, 2U);
  EXPECT_EQ(counts.timeouts, 2U);
  EXPECT_EQ(counts.pictures, 1U);
  EXPECT_EQ(counts.started, 5U);
}

}  // namespace
}  // namespace retouchd::sandbox
