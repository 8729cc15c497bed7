#include "image/cicp.h"

#include <fmt/format.h>
#include <lcms2.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <vector>

namespace retouchd::image {
namespace {

struct Handle {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
using Profile = std::unique_ptr<void, Handle>;

struct FreeCurve {
  void operator()(cmsToneCurve* curve) const { cmsFreeToneCurve(curve); }
};
using Curve = std::unique_ptr<cmsToneCurve, FreeCurve>;

constexpr int kUnspecified = 2;

struct Primaries {
  cmsCIExyY white;
  cmsCIExyYTRIPLE colours;
};

constexpr cmsCIExyY kD65{0.3127, 0.3290, 1.0};
constexpr cmsCIExyY kC{0.310, 0.316, 1.0};

/// H.273, table 2.
std::optional<Primaries> primaries_of(int number) {
  switch (number) {
    case 1:
    case kUnspecified:
      return Primaries{kD65, {{0.640, 0.330, 1}, {0.300, 0.600, 1}, {0.150, 0.060, 1}}};
    case 4:
      return Primaries{kC, {{0.67, 0.33, 1}, {0.21, 0.71, 1}, {0.14, 0.08, 1}}};
    case 5:
      return Primaries{kD65, {{0.64, 0.33, 1}, {0.29, 0.60, 1}, {0.15, 0.06, 1}}};
    case 6:
    case 7:
      return Primaries{kD65, {{0.630, 0.340, 1}, {0.310, 0.595, 1}, {0.155, 0.070, 1}}};
    case 9:
      return Primaries{kD65, {{0.708, 0.292, 1}, {0.170, 0.797, 1}, {0.131, 0.046, 1}}};
    case 11:
      return Primaries{{0.314, 0.351, 1}, {{0.680, 0.320, 1}, {0.265, 0.690, 1}, {0.150, 0.060, 1}}};
    case 12:
      return Primaries{kD65, {{0.680, 0.320, 1}, {0.265, 0.690, 1}, {0.150, 0.060, 1}}};
    case 22:
      return Primaries{kD65, {{0.630, 0.340, 1}, {0.295, 0.605, 1}, {0.155, 0.077, 1}}};
    default:
      return {};
  }
}

/// SMPTE ST 2084: 1 is 10,000 cd/m2.
double from_pq(double signal) {
  constexpr double kM1 = 2610.0 / 16384, kM2 = 2523.0 / 4096 * 128, kC1 = 3424.0 / 4096, kC2 = 2413.0 / 4096 * 32,
                   kC3 = 2392.0 / 4096 * 32;
  const double power = std::pow(signal, 1 / kM2);
  return std::pow(std::max(power - kC1, 0.0) / (kC2 - kC3 * power), 1 / kM1);
}

/// ITU-R BT.2100: of the scene.
double from_hlg(double signal) {
  constexpr double kA = 0.17883277, kB = 1 - 4 * kA;
  const double c = 0.5 - kA * std::log(4 * kA);
  return signal <= 0.5 ? signal * signal / 3 : (std::exp((signal - c) / kA) + kB) / 12;
}

Curve table_of(double (*linear)(double)) {
  std::vector<cmsUInt16Number> table(4096);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const double value = linear(static_cast<double>(i) / static_cast<double>(table.size() - 1));
    table[i] = static_cast<cmsUInt16Number>(std::lround(std::clamp(value, 0.0, 1.0) * 65'535));
  }
  return Curve(cmsBuildTabulatedToneCurve16(nullptr, static_cast<cmsUInt32Number>(table.size()), table.data()));
}

constexpr int kPq = 16;
constexpr int kHlg = 18;

/// H.273, table 3: what the signal says, as lcms2's parametric curve 4.
Curve transfer_of(int number) {
  constexpr std::array<double, 5> kSrgb{2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
  constexpr std::array<double, 5> kBt709{1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081};
  switch (number) {
    case 1:
    case 6:
    case 14:
    case 15:
      return Curve(cmsBuildParametricToneCurve(nullptr, 4, kBt709.data()));
    case kUnspecified:
    case 13:
      return Curve(cmsBuildParametricToneCurve(nullptr, 4, kSrgb.data()));
    case 4:
      return Curve(cmsBuildGamma(nullptr, 2.2));
    case 5:
      return Curve(cmsBuildGamma(nullptr, 2.8));
    case 8:
      return Curve(cmsBuildGamma(nullptr, 1.0));
    case kPq:
      return table_of(from_pq);
    case kHlg:
      return table_of(from_hlg);
    default:
      return nullptr;
  }
}

bool counts_as_srgb(const Cicp& cicp, bool is_gray) {
  const bool has_its_curve = cicp.transfer == kUnspecified || cicp.transfer == 13 || cicp.transfer == 1 || cicp.transfer == 6 ||
                             cicp.transfer == 14 || cicp.transfer == 15;
  // BT.601's are so near that still pictures which state them are meant as sRGB.
  const bool has_its_primaries =
      cicp.primaries == 1 || cicp.primaries == kUnspecified || cicp.primaries == 5 || cicp.primaries == 6;
  return has_its_curve && (has_its_primaries || is_gray);
}

void set_text(cmsHPROFILE profile, cmsTagSignature tag, const char* text) {
  cmsMLU* texts = cmsMLUalloc(nullptr, 1);
  if (texts == nullptr) return;
  cmsMLUsetASCII(texts, "en", "US", text);
  cmsWriteTag(profile, tag, texts);
  cmsMLUfree(texts);
}

ByteVector bytes_of(cmsHPROFILE profile) {
  cmsUInt32Number size = 0;
  if (!cmsSaveProfileToMem(profile, nullptr, &size)) return {};
  ByteVector bytes(size);
  if (!cmsSaveProfileToMem(profile, bytes.data(), &size)) return {};
  // The time of its making, 12 bytes from 24 on: the same picture is to give the same file.
  constexpr std::array<std::uint8_t, 12> kTime{0x07, 0xE8, 0, 1, 0, 1};
  std::copy(kTime.begin(), kTime.end(), bytes.begin() + 24);
  return bytes;
}

}  // namespace

ByteVector profile_of(const Cicp& cicp, bool is_gray, std::string& warnings) {
  if (counts_as_srgb(cicp, is_gray)) return {};
  const std::optional<Primaries> primaries = primaries_of(cicp.primaries);
  const Curve curve = transfer_of(cicp.transfer);
  if (!primaries || !curve) {
    add_warning(warnings, fmt::format("the colours (primaries {}, transfer {} of H.273) are not known and count as sRGB",
                                      cicp.primaries, cicp.transfer));
    return {};
  }
  std::array<cmsToneCurve*, 3> curves{curve.get(), curve.get(), curve.get()};
  const Profile profile(is_gray ? cmsCreateGrayProfile(cmsD50_xyY(), curve.get())
                                : cmsCreateRGBProfile(&primaries->white, &primaries->colours, curves.data()));
  if (!profile) return {};
  const std::string name =
      cicp.primaries == 12 && cicp.transfer == 13 ? "Display P3" : fmt::format("CICP {}/{}", cicp.primaries, cicp.transfer);
  set_text(profile.get(), cmsSigProfileDescriptionTag, name.c_str());
  set_text(profile.get(), cmsSigCopyrightTag, "No copyright, use freely");
  if (!is_gray) {
    cmsVideoSignalType signal{};
    signal.ColourPrimaries = static_cast<cmsUInt8Number>(cicp.primaries);
    signal.TransferCharacteristics = static_cast<cmsUInt8Number>(cicp.transfer);
    signal.VideoFullRangeFlag = 1;
    cmsSetProfileVersion(profile.get(), 4.4);  // the first that has this tag
    cmsWriteTag(profile.get(), cmsSigcicpTag, &signal);
  }
  if (cicp.transfer == kPq || cicp.transfer == kHlg) {
    add_warning(warnings, fmt::format("the picture is HDR ({}); its curve is kept as a profile, and programs that know only "
                                      "profiles show it dark",
                                      cicp.transfer == kPq ? "PQ" : "HLG"));
  }
  return bytes_of(profile.get());
}

Cicp cicp_of(ByteSpan icc) {
  const Profile profile(cmsOpenProfileFromMem(icc.data(), static_cast<cmsUInt32Number>(icc.size())));
  if (!profile) return {};
  const auto* signal = static_cast<const cmsVideoSignalType*>(cmsReadTag(profile.get(), cmsSigcicpTag));
  if (signal == nullptr) return {};
  return {signal->ColourPrimaries, signal->TransferCharacteristics};
}

}  // namespace retouchd::image
