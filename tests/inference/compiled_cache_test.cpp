#include "inference/compiled_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "inference/backend.h"
#include "tests/temporary_folder.h"

namespace retouchd::inference {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kTorch = "2.11.0";

class CompiledCacheTest : public testing::Test {
 protected:
  CompiledCacheTest() {
    network_.name = "mine";
    network_.sha256 = std::string(64, 'a');
  }

  CompiledPackage package(int width = 512, int height = 512) const {
    CompiledPackage package;
    package.compiler = "inductor";
    package.variant = "library";
    package.network = network_.name;
    package.weights_sha256 = network_.sha256;
    package.device = here_;
    package.precision = Precision::kMixed;
    package.width = width;
    package.height = height;
    package.batch = 8;
    package.torch = kTorch;
    package.made_ms = 1'700'000'000'000;
    return package;
  }

  CompiledPackage add(const CompiledPackage& package) const {
    write_text(folder_.path() / ".making.pt2", "code");
    auto added = cache_.add(folder_.path() / ".making.pt2", package);
    EXPECT_TRUE(added) << added.error().message;
    return *added;
  }

  CompiledCache::Found find() const { return cache_.find(network_, here_, Precision::kMixed, kTorch); }

  const TemporaryFolder folder_;
  const CompiledCache cache_{folder_.path()};
  const DeviceIdentity here_{"cuda-nvidia-h200-sm90", "NVIDIA H200, compute capability 9.0"};
  NetworkInfo network_;
};

TEST(Backend, NamesAreReadAsTheyAreWritten) {
  for (const Backend backend : {Backend::kAuto, Backend::kOptimized, Backend::kCompiled, Backend::kFused})
    EXPECT_EQ(backend_named(name_of(backend)), backend);
  EXPECT_EQ(name_of(Backend::kCompiled), "compiled");
  EXPECT_EQ(backend_named("Compiled"), std::nullopt);
}

TEST_F(CompiledCacheTest, FindsWhatWasAdded) {
  const CompiledPackage added = add(package(528, 496));
  EXPECT_EQ(added.file.filename(), network_.sha256 + "-cuda-nvidia-h200-sm90-mixed-528x496.pt2");
  EXPECT_EQ(read_text(added.file), "code");
  const auto found = find();
  EXPECT_THAT(found.warnings, IsEmpty());
  ASSERT_EQ(found.packages.size(), 1U);
  const CompiledPackage& package = found.packages.front();
  EXPECT_EQ(package.file, added.file);
  EXPECT_EQ(package.file_sha256, *sha256_hex_of_file(added.file));
  EXPECT_EQ(shape_of(package), "528x496");
  EXPECT_EQ(backend_name_of(package), "compiled");
  EXPECT_EQ(package.batch, 8);
  EXPECT_EQ(package.device.description, here_.description);
  EXPECT_EQ(package.made_ms, 1'700'000'000'000);
  EXPECT_EQ(package.local_window, std::nullopt);
}

TEST_F(CompiledCacheTest, NothingIsTakenFromAFolderThatEverybodyMayWriteTo) {
  add(package());
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  const auto found = find();
  EXPECT_THAT(found.packages, IsEmpty());
  EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("everybody may write to it; `chmod o-w` it")));
  std::filesystem::permissions(folder_.path(), std::filesystem::perms::others_write, std::filesystem::perm_options::remove);
  EXPECT_EQ(find().packages.size(), 1U);
}

TEST_F(CompiledCacheTest, AnotherNetworkPrecisionOrAttentionIsNoneOfIts) {
  add(package());
  NetworkInfo other = network_;
  other.sha256 = std::string(64, 'b');
  EXPECT_THAT(cache_.find(other, here_, Precision::kMixed, kTorch).packages, IsEmpty());
  EXPECT_THAT(cache_.find(network_, here_, Precision::kFp16, kTorch).packages, IsEmpty());
  other = network_;
  other.local_window = 384;
  EXPECT_THAT(cache_.find(other, here_, Precision::kMixed, kTorch).packages, IsEmpty());
}

TEST_F(CompiledCacheTest, APackageOfAnotherDeviceOrLibraryIsSkippedWithAWarning) {
  add(package());
  const auto elsewhere = cache_.find(network_, {"cuda-nvidia-l4-sm89", "NVIDIA L4"}, Precision::kMixed, kTorch);
  EXPECT_THAT(elsewhere.packages, IsEmpty());
  EXPECT_THAT(elsewhere.warnings, ElementsAre(HasSubstr("was made for NVIDIA H200, compute capability 9.0")));
  const auto later = cache_.find(network_, here_, Precision::kMixed, "2.12.0");
  EXPECT_THAT(later.packages, IsEmpty());
  EXPECT_THAT(later.warnings, ElementsAre(testing::AllOf(HasSubstr("was made by PyTorch 2.11.0, this is LibTorch 2.12.0"),
                                                         HasSubstr("`retouch compile mine`"))));
}

TEST_F(CompiledCacheTest, WhereOneOfAShapeCanBeUsedOthersOfItAreNoWarning) {
  CompiledPackage elsewhere = package();
  elsewhere.device = {"cuda-nvidia-l4-sm89", "NVIDIA L4"};
  add(elsewhere);
  add(package());
  const auto found = find();
  EXPECT_EQ(found.packages.size(), 1U);
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST_F(CompiledCacheTest, AChangedOrMissingFileIsSkippedWithAWarning) {
  const CompiledPackage added = add(package());
  write_text(added.file, "cod");
  EXPECT_THAT(find().packages, IsEmpty());
  EXPECT_THAT(find().warnings, ElementsAre(HasSubstr("is not what it was when it was made")));
  std::filesystem::remove(added.file);
  EXPECT_THAT(find().packages, IsEmpty());
  EXPECT_THAT(find().warnings, ElementsAre(HasSubstr("cannot be read")));
}

TEST_F(CompiledCacheTest, ADamagedDescriptionIsSkippedWithAWarningAndCanBeRemoved) {
  const CompiledPackage added = add(package());
  write_text(added.file.string() + ".json", "{\"file\": \"x");
  EXPECT_THAT(find().packages, IsEmpty());
  EXPECT_THAT(find().warnings, ElementsAre(HasSubstr("is damaged")));
  ASSERT_EQ(cache_.list().size(), 1U);
  EXPECT_FALSE(cache_.list().front().package);
  cache_.remove(cache_.list().front());
  EXPECT_THAT(cache_.list(), IsEmpty());
}

TEST_F(CompiledCacheTest, ADescriptionCannotNameAFileElsewhere) {
  const CompiledPackage added = add(package());
  std::string text = read_text(added.file.string() + ".json");
  text.replace(text.find(added.file.filename().string()), added.file.filename().string().size(), "../stray.pt2");
  write_text(added.file.string() + ".json", text);
  EXPECT_FALSE(cache_.list().front().package);
}

TEST_F(CompiledCacheTest, ANewPackageReplacesTheOldOne) {
  add(package());
  CompiledPackage second = package();
  second.batch = 16;
  add(second);
  ASSERT_EQ(find().packages.size(), 1U);
  EXPECT_EQ(find().packages.front().batch, 16);
  cache_.remove(cache_.list().front());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path())) << "neither temporary files nor packages are left";
}

TEST_F(CompiledCacheTest, TwoCompilersOfOneShapeAreTwoPackages) {
  add(package());
  CompiledPackage other = package();
  other.compiler = "tensorrt";
  other.runtime = "/opt/lib/libtorchtrt_runtime.so";
  other.local_window = std::nullopt;
  const CompiledPackage added = add(other);
  EXPECT_EQ(added.file.extension(), ".ts");
  const auto found = find();
  ASSERT_EQ(found.packages.size(), 2U);
  EXPECT_EQ(found.packages[0].runtime, other.runtime);
  EXPECT_EQ(backend_name_of(found.packages[0]), "compiled (tensorrt)");
}

TEST(CompiledCacheWithoutAFolder, IsEmpty) {
  EXPECT_THAT(CompiledCache({}).list(), IsEmpty());
  EXPECT_THAT(CompiledCache("/nowhere/at/all").list(), IsEmpty());
}

}  // namespace
}  // namespace retouchd::inference
