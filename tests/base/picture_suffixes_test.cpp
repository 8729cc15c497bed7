#include "base/picture_suffixes.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"

namespace retouchd {
namespace {

class PictureSuffixes : public ::testing::Test {
 protected:
  /// A picture, and what a result named "out/<its name>" becomes.
  std::string renamed(const std::string& name, const std::string& suffix, Renamed who) {
    return with_suffix("out/" + name, suffix, put(name), who).string();
  }
  std::filesystem::path put(const std::string& name) {
    const auto path = folder_.path() / name;
    std::ofstream(path) << "picture";
    return path;
  }
  const TemporaryFolder folder_;
};

TEST_F(PictureSuffixes, APictureIsKnownByItsNameInAnyCase) {
  for (const char* name : {"a.jpg", "a.JPEG", "a.Tif", "a.tiff", "a.png", "a.WebP", "a.b.jpe", "a.b.heic", "DSC_1.NEF"})
    EXPECT_TRUE(has_picture_suffix(name)) << name;
  for (const char* name : {"a", "a.txt", "jpg", "a.jpg.txt", "a.", ""}) EXPECT_FALSE(has_picture_suffix(name)) << name;
}

TEST_F(PictureSuffixes, ASuffixIsReplacedAndAnyOtherNameKept) {
  EXPECT_EQ(renamed("a.nef", ".tif", Renamed::kThis), "out/a.tif");
  EXPECT_EQ(renamed("v1.2", ".tif", Renamed::kThis), "out/v1.2.tif");
}

TEST_F(PictureSuffixes, ANameThatMeansTheFormatStays) {
  put("a.nef");
  EXPECT_EQ(renamed("a.JPEG", ".jpg", Renamed::kAll), "out/a.JPEG");
  EXPECT_EQ(renamed("a.tiff", ".tif", Renamed::kAll), "out/a.tiff");
}

TEST_F(PictureSuffixes, TwoPicturesOfOneNameDoNotReplaceEachOther) {
  put("b.JPG");
  EXPECT_EQ(renamed("b.heic", ".jpg", Renamed::kThis), "out/b.heic.jpg");
  EXPECT_EQ(renamed("b.nef", ".tif", Renamed::kThis), "out/b.tif") << "the JPEG's result is no TIFF";
  EXPECT_EQ(renamed("b.nef", ".avif", Renamed::kAll), "out/b.nef.avif");
}

}  // namespace
}  // namespace retouchd
