#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "base/file.h"
#include "image/codec.h"
#include "tests/sanitizer.h"
#include "tests/temporary_folder.h"

// What a picture of 100 MP holds while it is read and written, measured in a process of its own.

namespace retouchd::image {
namespace {

constexpr int kSide = 10'000;
constexpr Bytes kPlane{static_cast<std::uint64_t>(kSide) * kSide};
constexpr Bytes kSlack = mebibytes(16);  // the allocator's and the libraries' own

/// Resident memory that is not a file's, in bytes: VmHWM and VmRSS count the mapped file too.
std::uint64_t anonymous_memory(const char* key) {
  std::ifstream status("/proc/self/status");
  std::uint64_t value = 0;
  std::uint64_t of_files = 0;
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key)) value = std::strtoull(line.c_str() + std::string_view(key).size(), nullptr, 10);
    if (line.starts_with("RssFile:")) of_files = std::strtoull(line.c_str() + 8, nullptr, 10);
  }
  return (value - of_files) * 1024;
}

/// The peak above what was there before, while `work` runs in a child; nullopt when `work` failed.
std::optional<std::uint64_t> peak_of(const std::function<bool()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) return std::nullopt;
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM starts anew
    const std::uint64_t before = anonymous_memory("VmRSS:");
    const bool is_done = work();
    const std::uint64_t peak = anonymous_memory("VmHWM:") - before;
    const bool is_told = ::write(ends[1], &peak, sizeof peak) == sizeof peak;
    ::_exit(is_done && is_told ? 0 : 1);
  }
  std::uint64_t peak = 0;
  int status = -1;
  const bool is_told = ::read(ends[0], &peak, sizeof peak) == sizeof peak;
  ::waitpid(child, &status, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  if (!is_told || status != 0) return std::nullopt;
  return peak;
}

class LargeTiff : public ::testing::TestWithParam<EncodeOptions::TiffCompression> {};

TEST_P(LargeTiff, ReadingAndWritingHoldThePlanesAndLittleMore) {
  if (kIsSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const TemporaryFolder folder;
  const auto path = folder.path() / "large.tif";
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  ASSERT_GE(fd.get(), 0);

  const auto written = peak_of([&] {
    Picture picture;
    picture.colour = cv::Mat(kSide, kSide, CV_8UC1);
    for (int y = 0; y < kSide; ++y) {
      auto* row = picture.colour.ptr(y);
      for (int x = 0; x < kSide; ++x) row[x] = static_cast<std::uint8_t>((x / 7) ^ (y / 5));
    }
    EncodeOptions options;
    options.tiff_compression = GetParam();
    DescriptorFile output(fd.get());
    return encode(picture, FileFormat::kTiff, options, output).ok();
  });
  ASSERT_TRUE(written);
  EXPECT_LE(*written, (kPlane + kSlack).value);

  const auto size = static_cast<std::size_t>(std::filesystem::file_size(path));
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const std::span<const std::uint8_t> file(static_cast<const std::uint8_t*>(mapped), size);
  const auto header = read_header(file, {});
  ASSERT_TRUE(header.ok()) << header.error().message;
  EXPECT_EQ(header->decoded_bytes(), kPlane);
  EXPECT_LE(header->working, mebibytes(4));
  const auto read = peak_of([&] {
    const auto picture = decode(file, {});
    return picture.ok() &&
           picture->colour.at<std::uint8_t>(kSide - 1, kSide - 1) == (((kSide - 1) / 7) ^ ((kSide - 1) / 5)) % 256;
  });
  ::munmap(mapped, size);
  ASSERT_TRUE(read);
  EXPECT_LE(*read, (kPlane + header->working + kSlack).value);
}

INSTANTIATE_TEST_SUITE_P(AllCompressions, LargeTiff,
                         ::testing::Values(EncodeOptions::TiffCompression::kNone, EncodeOptions::TiffCompression::kLzw,
                                           EncodeOptions::TiffCompression::kDeflate));

}  // namespace
}  // namespace retouchd::image
