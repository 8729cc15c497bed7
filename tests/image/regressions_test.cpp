#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "image/codec.h"

namespace retouchd::image {
namespace {

namespace fs = std::filesystem;

/// What fuzzers have found, a folder for each format.
std::vector<fs::path> findings() {
  std::vector<fs::path> files;
  const fs::path folder = fs::path(RETOUCHD_SOURCE_DIR) / "tests/fuzz/regressions";
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  return files;
}

TEST(Regressions, EveryFindingIsDecodedOrRefusedWithAReason) {
  DecodeLimits limits;
  limits.megapixels = 16;
  limits.metadata = mebibytes(1);
  limits.all_pages = true;
  const std::vector<fs::path> files = findings();
  EXPECT_FALSE(files.empty());
  for (const fs::path& path : files) {
    const auto file = read_file(path, mebibytes(1));
    ASSERT_TRUE(file.ok()) << path;
    const auto picture = decode(*file, limits);
    if (!picture) {
      EXPECT_NE(picture.error().code, ErrorCode::kInternal) << path << ": " << picture.error().message;
      EXPECT_NE(picture.error().message, "") << path;
      continue;
    }
    for (const FileFormat format : {FileFormat::kJpeg, FileFormat::kPng, FileFormat::kTiff, FileFormat::kWebp, FileFormat::kAvif,
                                    FileFormat::kJxl, FileFormat::kPnm}) {
      if (!can_hold(*picture, format)) continue;
      const auto encoded = encode(*picture, format, {});
      EXPECT_TRUE(encoded.ok()) << path << " as " << name_of(format) << ": " << encoded.error().message;
    }
  }
}

}  // namespace
}  // namespace retouchd::image
