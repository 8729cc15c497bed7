// Pictures are decoded and encoded by processes that may neither start threads nor open files. Here the codecs that come as
// libraries with threads or plugins of their own are run in such a process.

#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <opencv2/core.hpp>

#include "image/codec.h"
#include "image/format_codec.h"
#include "tests/image/heic_files.h"
#include "tests/image/sample_pictures.h"

namespace retouchd::image {
namespace {

using testing::make_picture;

/// Whether `work` is done in a process that dies when it starts a thread or opens a file.
bool is_done_confined(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) {
    prepare_heic();
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    for (const int call :
         {SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(open), SCMP_SYS(openat)}) {
      if (seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0) != 0) _exit(2);
    }
    if (seccomp_load(filter) != 0) _exit(3);
    constexpr unsigned kSeconds = 120;
    alarm(kSeconds);  // a decoder that waits for a thread that it could not start
    _exit(work() ? 0 : 1);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool is_decoded(const ByteVector& file) {
  return is_done_confined([&] { return decode(file, DecodeLimits{}).ok(); });
}

TEST(ConfinedCodecs, AreConfinedIndeed) {
  EXPECT_TRUE(is_done_confined([] { return true; }));
  EXPECT_FALSE(is_done_confined([] { return access("/", F_OK) == 0 && ::fopen("/dev/null", "r") != nullptr; }));
}

TEST(ConfinedCodecs, AvifAndJxlAreReadAndWritten) {
  for (const FileFormat format : {FileFormat::kAvif, FileFormat::kJxl}) {
    for (const int quality : {80, 100}) {
      EncodeOptions options;
      options.avif_quality = quality;
      options.jxl_quality = quality;
      // Large enough to be cut into parts that would keep several threads busy.
      const Picture picture = make_picture(1100, 900, CV_8UC3, true);
      EXPECT_TRUE(is_done_confined([&] { return encode(picture, format, options).ok(); })) << name_of(format) << quality;
      EXPECT_TRUE(is_decoded(*encode(picture, format, options))) << name_of(format) << quality;
    }
  }
}

TEST(ConfinedCodecs, HeicIsRead) {
  if (!testing::can_write_heic()) GTEST_SKIP() << "libheif cannot write HEVC here";
  const Picture picture = make_picture(1100, 900, CV_8UC3, true);
  EXPECT_TRUE(is_decoded(testing::write_heic(picture.colour, picture.alpha, {})));
}

}  // namespace
}  // namespace retouchd::image
