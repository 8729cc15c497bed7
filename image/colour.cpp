#include "image/colour.h"

#include <fmt/format.h>
#include <lcms2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "image/matrix_space.h"

namespace retouchd::image {
namespace {

/// LittleCMS with its own memory and its first complaint, so that threads share nothing.
class Session {
 public:
  Session() : context_(cmsCreateContext(nullptr, &complaint_)) {
    if (context_ == nullptr) throw std::bad_alloc();
    cmsSetLogErrorHandlerTHR(context_, [](cmsContext context, cmsUInt32Number /*code*/, const char* text) {
      auto* complaint = static_cast<std::string*>(cmsGetContextUserData(context));
      if (complaint->empty()) *complaint = text;
    });
  }
  ~Session() { cmsDeleteContext(context_); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] cmsContext get() const noexcept { return context_; }
  [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

 private:
  std::string complaint_;
  cmsContext context_;
};

struct Closer {
  void operator()(void* profile) const noexcept { cmsCloseProfile(profile); }
};
struct Deleter {
  void operator()(void* transform) const noexcept { cmsDeleteTransform(transform); }
};
struct Freer {
  void operator()(cmsToneCurve* curve) const noexcept { cmsFreeToneCurve(curve); }
};
using Profile = std::unique_ptr<void, Closer>;
using Transform = std::unique_ptr<void, Deleter>;
using Curve = std::unique_ptr<cmsToneCurve, Freer>;

Error unusable(const std::string& reason) {
  return make_error(ErrorCode::kUnsupportedFormat, fmt::format("the ICC profile cannot be used: {}", reason));
}

/// `wanted`: the colour space that the pixels are of.
Result<Profile> open_profile(const Session& session, ByteSpan icc, cmsColorSpaceSignature wanted) {
  if (icc.size() > std::numeric_limits<cmsUInt32Number>::max()) return unusable("it is too large");
  Profile profile(cmsOpenProfileFromMemTHR(session.get(), icc.data(), static_cast<cmsUInt32Number>(icc.size())));
  if (!profile) return unusable(session.complaint().empty() ? "it is damaged" : session.complaint());
  const cmsProfileClassSignature kind = cmsGetDeviceClass(profile.get());
  if (kind != cmsSigDisplayClass && kind != cmsSigInputClass && kind != cmsSigOutputClass && kind != cmsSigColorSpaceClass) {
    return unusable("it does not describe a device or a colour space");
  }
  if (cmsGetColorSpace(profile.get()) != wanted) return unusable("it is of another colour space than the pixels");
  const cmsColorSpaceSignature connection = cmsGetPCS(profile.get());
  if (connection != cmsSigXYZData && connection != cmsSigLabData) return unusable("it does not lead to XYZ or Lab");
  return profile;
}

constexpr std::array<cmsFloat64Number, 5> kSrgbCurve{2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045};  // IEC 61966-2-1
constexpr std::array<std::int32_t, 8> kSrgbChromaticities{31'270, 32'900, 64'000, 33'000, 30'000, 60'000, 15'000, 6'000};
constexpr std::int32_t kSrgbGamma = 45'455;  // what PNG files of sRGB pixels say

Curve srgb_curve(const Session& session) { return Curve(cmsBuildParametricToneCurve(session.get(), 4, kSrgbCurve.data())); }

Profile make_srgb(const Session& session, bool is_gray) {
  Profile profile(is_gray ? cmsCreateGrayProfileTHR(session.get(), cmsD50_xyY(), srgb_curve(session).get())
                          : cmsCreate_sRGBProfileTHR(session.get()));
  if (!profile) throw std::bad_alloc();
  return profile;
}

/// What PNG's own chunks say.
Result<Profile> profile_of_chunks(const Session& session, const Metadata& metadata, bool is_gray) {
  const std::int32_t gamma = metadata.gamma.value_or(kSrgbGamma);
  if (gamma <= 0) return unusable("the gamma is not positive");
  Curve curve = gamma == kSrgbGamma ? srgb_curve(session) : Curve(cmsBuildGamma(session.get(), 100'000.0 / gamma));
  if (!curve) return unusable("the gamma makes no curve");
  Profile profile;
  if (is_gray) {
    profile.reset(cmsCreateGrayProfileTHR(session.get(), cmsD50_xyY(), curve.get()));
  } else {
    const auto& xy = metadata.chromaticities ? *metadata.chromaticities : kSrgbChromaticities;
    const auto point = [&xy](std::size_t at) { return cmsCIExyY{xy[2 * at] / 1e5, xy[2 * at + 1] / 1e5, 1.0}; };
    for (std::size_t at = 0; at < 4; ++at) {
      if (xy[2 * at + 1] <= 0) return unusable("its chromaticities are impossible");
    }
    const cmsCIExyY white = point(0);
    const cmsCIExyYTRIPLE primaries{point(1), point(2), point(3)};
    const std::array<cmsToneCurve*, 3> curves{curve.get(), curve.get(), curve.get()};
    profile.reset(cmsCreateRGBProfileTHR(session.get(), &white, &primaries, curves.data()));
  }
  if (!profile) return unusable("its chromaticities are impossible");
  return profile;
}

/// Both ways between the space of a file and sRGB, in floats without bounds.
class FileSpace {
 public:
  /// The space `metadata` speaks of, nullopt when it does not, or when it is sRGB. Errors name what is wrong with it.
  static Result<std::optional<FileSpace>> of(const Metadata* metadata, bool is_gray) {
    if (metadata == nullptr) return std::optional<FileSpace>();
    const bool has_chunks = metadata->gamma || metadata->chromaticities;
    if (metadata->icc.empty() && (metadata->srgb_intent || !has_chunks)) return std::optional<FileSpace>();
    auto session = std::make_unique<Session>();
    Result<Profile> file = metadata->icc.empty()
                               ? profile_of_chunks(*session, *metadata, is_gray)
                               : open_profile(*session, metadata->icc, is_gray ? cmsSigGrayData : cmsSigRgbData);
    if (!file) return file.error();
    const Profile srgb = make_srgb(*session, is_gray);
    const cmsUInt32Number type = is_gray ? TYPE_GRAY_FLT : TYPE_RGB_FLT;
    const auto connect = [&](const Profile& from, const Profile& to) {
      return Transform(cmsCreateTransformTHR(session->get(), from.get(), type, to.get(), type, INTENT_RELATIVE_COLORIMETRIC,
                                             cmsFLAGS_NOCACHE));
    };
    FileSpace space;
    space.to_srgb_ = connect(*file, srgb);
    if (!space.to_srgb_) return unusable(session->complaint().empty() ? "it leads nowhere" : session->complaint());
    space.from_srgb_ = connect(srgb, *file);
    if (!space.from_srgb_) return unusable("it has no way back to its colours");
    if (!is_gray) space.matrix_ = MatrixSpace::of(file->get(), srgb.get());
    space.session_ = std::move(session);
    const std::optional<double> change = space.measure(is_gray ? 1 : 3);
    if (!change) return unusable("the way back leads to other colours");
    if (*change <= kSameColours) return std::optional<FileSpace>();
    return std::optional<FileSpace>(std::move(space));
  }

  void to_srgb(const float* from, float* to, std::size_t pixels) const noexcept {
    if (matrix_) return matrix_->to_srgb(from, to, pixels);
    cmsDoTransform(to_srgb_.get(), from, to, static_cast<cmsUInt32Number>(pixels));
  }
  void from_srgb(const float* from, float* to, std::size_t pixels) const noexcept {
    if (matrix_) return matrix_->from_srgb(from, to, pixels);
    cmsDoTransform(from_srgb_.get(), from, to, static_cast<cmsUInt32Number>(pixels));
  }

 private:
  static constexpr double kSameColours = 0.5 / 255;  ///< sRGB profiles differ from one another by as much
  static constexpr double kSamePlace = 2.0 / 255;    ///< tables of a profile are no better than that
  static constexpr int kSteps = 9;

  /// Largest change of any value on the way to sRGB, over a grid of colours; nullopt when the way back misses them.
  [[nodiscard]] std::optional<double> measure(int channels) const {
    std::vector<float> grid;
    const int colours = channels == 1 ? kSteps : kSteps * kSteps * kSteps;
    for (int i = 0; i < colours; ++i) {
      int rest = i;
      for (int c = 0; c < channels; ++c, rest /= kSteps) grid.push_back(static_cast<float>(rest % kSteps) / (kSteps - 1));
    }
    std::vector<float> there(grid.size());
    std::vector<float> back(grid.size());
    to_srgb(grid.data(), there.data(), static_cast<std::size_t>(colours));
    from_srgb(there.data(), back.data(), static_cast<std::size_t>(colours));
    double change = 0;
    for (std::size_t i = 0; i < grid.size(); ++i) {
      if (!std::isfinite(there[i]) || !(std::abs(back[i] - grid[i]) <= kSamePlace)) return std::nullopt;
      change = std::max<double>(change, std::abs(there[i] - grid[i]));
    }
    return change;
  }

  std::unique_ptr<Session> session_;  // outlives the transforms
  Transform to_srgb_;
  Transform from_srgb_;
  std::optional<MatrixSpace> matrix_;  ///< does the work where it can
};

double most_of(int depth) noexcept { return depth == CV_8U ? 255.0 : depth == CV_16U ? 65'535.0 : 1.0; }

/// `plane` in `memory`, as it is.
void keep(cv::Mat& plane, PlaneMemory& memory) {
  if (plane.empty() || memory.owns(plane)) return;
  cv::Mat place = memory.make(plane.size(), plane.type());
  plane.copyTo(place);
  plane = place;
}

/// Row by row to floats 0..1, then by `convert(from, to, pixels)`.
template <class Convert>
cv::Mat rows_to_float(const cv::Mat& plane, PlaneMemory& memory, Convert&& convert) {
  const int channels = plane.channels();
  cv::Mat result = memory.make(plane.size(), CV_MAKETYPE(CV_32F, channels));
  cv::Mat line;
  for (int y = 0; y < plane.rows; ++y) {
    plane.row(y).convertTo(line, CV_32F, 1.0 / most_of(plane.depth()));
    float* const to = result.ptr<float>(y);
    convert(line.ptr<float>(), to, static_cast<std::size_t>(plane.cols));
    std::replace_if(
        to, to + plane.cols * channels, [](float value) { return !std::isfinite(value); }, 0.0F);
  }
  return result;
}

void copy_line(const float* from, float* to, std::size_t pixels) noexcept { std::copy(from, from + pixels, to); }

void convert_page(Picture& picture, PlaneMemory& memory) {
  Result<std::optional<FileSpace>> space = FileSpace::of(picture.metadata.get(), picture.is_gray());
  if (!space) add_warning(picture.metadata_warning, space.error().message + "; the network sees the values as they are");
  if (!space || !*space) {
    keep(picture.colour, memory);
    keep(picture.alpha, memory);
    return;
  }
  const FileSpace& file = **space;
  picture.colour = rows_to_float(picture.colour, memory,
                                 [&](const float* from, float* to, std::size_t pixels) { file.to_srgb(from, to, pixels); });
  if (!picture.alpha.empty()) picture.alpha = rows_to_float(picture.alpha, memory, copy_line);
  picture.space = WorkingSpace::kExtendedSrgb;
}

}  // namespace

bool is_usable_profile(ByteSpan icc, bool is_gray) {
  const Session session;
  const Result<Profile> file = open_profile(session, icc, is_gray ? cmsSigGrayData : cmsSigRgbData);
  if (!file) return false;
  const Profile srgb = make_srgb(session, is_gray);
  const cmsUInt32Number type = is_gray ? TYPE_GRAY_FLT : TYPE_RGB_FLT;
  const auto leads = [&](const Profile& from, const Profile& to, cmsUInt32Number intent) {
    return Transform(cmsCreateTransformTHR(session.get(), from.get(), type, to.get(), type, intent, 0)) != nullptr;
  };
  for (const cmsUInt32Number intent : {cmsGetHeaderRenderingIntent(file->get()), cmsUInt32Number{INTENT_RELATIVE_COLORIMETRIC}}) {
    if (!leads(*file, srgb, intent) || !leads(srgb, *file, intent)) return false;
  }
  return true;
}

struct CmykConverter::Transform {
  Session session;
  image::Transform way;  // goes before the session
};

CmykConverter::CmykConverter(std::unique_ptr<Transform> transform) noexcept : transform_(std::move(transform)) {}
CmykConverter::CmykConverter(CmykConverter&&) noexcept = default;
CmykConverter& CmykConverter::operator=(CmykConverter&&) noexcept = default;
CmykConverter::~CmykConverter() = default;

Result<CmykConverter> CmykConverter::open(ByteSpan icc, int depth) {
  constexpr std::string_view kAdvice = "convert it to RGB first, or embed the profile of its inks";
  if (icc.empty()) {
    return make_error(ErrorCode::kUnsupportedFormat,
                      fmt::format("the picture is CMYK without an ICC profile, so that its colours are unknown; {}", kAdvice));
  }
  auto transform = std::make_unique<Transform>();
  const Session& session = transform->session;
  Result<Profile> inks = open_profile(session, icc, cmsSigCmykData);
  if (inks) {
    const Profile srgb = make_srgb(session, false);
    const bool is_8_bit = depth == CV_8U;
    transform->way.reset(cmsCreateTransformTHR(session.get(), inks->get(), is_8_bit ? TYPE_CMYK_8 : TYPE_CMYK_16, srgb.get(),
                                               is_8_bit ? TYPE_RGB_8 : TYPE_RGB_16, INTENT_RELATIVE_COLORIMETRIC,
                                               cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_HIGHRESPRECALC));
  }
  if (!transform->way) {
    const std::string reason = inks ? session.complaint() : inks.error().message;
    return make_error(
        ErrorCode::kUnsupportedFormat,
        fmt::format("the picture is CMYK, and {}; {}", reason.empty() ? "its ICC profile leads nowhere" : reason, kAdvice));
  }
  return CmykConverter(std::move(transform));
}

void CmykConverter::convert(const void* inks, void* rgb, std::size_t pixels) const noexcept {
  cmsDoTransform(transform_->way.get(), inks, rgb, static_cast<cmsUInt32Number>(pixels));
}

Result<cv::Mat> cmyk_to_srgb(const cv::Mat& cmyk, ByteSpan icc, PlaneMemory& memory) {
  if (cmyk.channels() != 4 || (cmyk.depth() != CV_8U && cmyk.depth() != CV_16U)) {
    return make_error(ErrorCode::kInternal, "CMYK pixels of unknown type");
  }
  Result<CmykConverter> converter = CmykConverter::open(icc, cmyk.depth());
  if (!converter) return converter.error();
  cv::Mat rgb = memory.make(cmyk.size(), CV_MAKETYPE(cmyk.depth(), 3));
  for (int y = 0; y < cmyk.rows; ++y) converter->convert(cmyk.ptr(y), rgb.ptr(y), static_cast<std::size_t>(cmyk.cols));
  return rgb;
}

ByteVector srgb_profile() {
  const Session session;
  const Profile profile = make_srgb(session, false);
  cmsUInt32Number size = 0;
  if (cmsSaveProfileToMem(profile.get(), nullptr, &size) == FALSE) throw std::bad_alloc();
  ByteVector icc(size);
  if (cmsSaveProfileToMem(profile.get(), icc.data(), &size) == FALSE) throw std::bad_alloc();
  // LittleCMS puts in when it was made; 1 January 2000 keeps results the same every time.
  constexpr std::array<std::uint8_t, 12> kMade{0x07, 0xD0, 0, 1, 0, 1};
  std::copy(kMade.begin(), kMade.end(), icc.begin() + 24);
  return icc;
}

void to_extended_srgb(Picture& picture, PlaneMemory& memory) {
  convert_page(picture, memory);
  for (Picture& page : picture.pages) to_extended_srgb(page, memory);
}

Result<Picture> to_file_space(const Picture& picture) {
  Picture result = picture;
  result.pages.clear();
  for (const Picture& page : picture.pages) {
    Result<Picture> converted = to_file_space(page);
    if (!converted) return converted;
    result.pages.push_back(*std::move(converted));
  }
  if (picture.space == WorkingSpace::kFile) return result;
  Result<std::optional<FileSpace>> space = FileSpace::of(picture.metadata.get(), picture.is_gray());
  if (!space) return make_error(ErrorCode::kInternal, space.error().message);
  const int depth = picture.file_bits == 8 ? CV_8U : picture.file_bits == 16 ? CV_16U : CV_32F;
  result.space = WorkingSpace::kFile;
  result.colour = cv::Mat(picture.colour.size(), CV_MAKETYPE(depth, picture.colour.channels()));
  std::vector<float> line(static_cast<std::size_t>(picture.width()) * static_cast<std::size_t>(picture.colour.channels()));
  for (int y = 0; y < picture.height(); ++y) {
    if (*space) {
      (*space)->from_srgb(picture.colour.ptr<float>(y), line.data(), static_cast<std::size_t>(picture.width()));
    } else {
      std::copy_n(picture.colour.ptr<float>(y), line.size(), line.data());
    }
    const cv::Mat row(1, picture.width(), CV_MAKETYPE(CV_32F, picture.colour.channels()), line.data());
    row.convertTo(result.colour.row(y), depth, most_of(depth));
  }
  result.alpha.release();  // shared with `picture`
  if (!picture.alpha.empty()) picture.alpha.convertTo(result.alpha, depth, most_of(depth));
  return result;
}

}  // namespace retouchd::image
