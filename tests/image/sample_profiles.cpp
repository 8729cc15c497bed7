#include "tests/image/sample_profiles.h"

#include <lcms2.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace retouchd::image::testing {
namespace {

ByteVector saved(cmsHPROFILE profile) {
  cmsUInt32Number size = 0;
  if (profile == nullptr || !cmsSaveProfileToMem(profile, nullptr, &size)) throw std::runtime_error("no profile");
  ByteVector bytes(size);
  if (!cmsSaveProfileToMem(profile, bytes.data(), &size)) throw std::runtime_error("no profile");
  cmsCloseProfile(profile);
  return bytes;
}

/// Light that is left after four inks, as Lab of version 4 in 16 bits.
cmsInt32Number ink_to_lab(const cmsUInt16Number in[], cmsUInt16Number out[], void* /*cargo*/) {
  const auto pass = [&](int ink, double most) { return 1.0 - most * in[ink] / 65'535.0; };
  const double black = pass(3, 0.98);
  const double red = pass(0, 0.9) * pass(1, 0.05) * pass(2, 0.02) * black;
  const double green = pass(0, 0.4) * pass(1, 0.85) * pass(2, 0.06) * black;
  const double blue = pass(0, 0.2) * pass(1, 0.5) * pass(2, 0.88) * black;
  // Linear sRGB to XYZ under D50.
  const cmsCIEXYZ xyz{0.4361 * red + 0.3851 * green + 0.1431 * blue, 0.2225 * red + 0.7169 * green + 0.0606 * blue,
                      0.0139 * red + 0.0971 * green + 0.7141 * blue};
  cmsCIELab lab;
  cmsXYZ2Lab(nullptr, &lab, &xyz);
  cmsFloat2LabEncoded(out, &lab);
  return TRUE;
}

/// Black ink alone: enough for the way back that black point detection takes.
cmsInt32Number lab_to_ink(const cmsUInt16Number in[], cmsUInt16Number out[], void* /*cargo*/) {
  std::fill_n(out, 3, cmsUInt16Number{0});
  out[3] = static_cast<cmsUInt16Number>(65'535 - in[0]);
  return TRUE;
}

void write_table(cmsHPROFILE profile, cmsTagSignature tag, cmsUInt32Number from, cmsUInt32Number to, cmsSAMPLER16 sampler) {
  cmsPipeline* way = cmsPipelineAlloc(nullptr, from, to);
  cmsStage* table = cmsStageAllocCLut16bit(nullptr, 9, from, to, nullptr);
  cmsStageSampleCLut16bit(table, sampler, nullptr, 0);
  cmsPipelineInsertStage(way, cmsAT_END, cmsStageAllocToneCurves(nullptr, from, nullptr));
  cmsPipelineInsertStage(way, cmsAT_END, table);
  cmsPipelineInsertStage(way, cmsAT_END, cmsStageAllocToneCurves(nullptr, to, nullptr));
  if (!cmsWriteTag(profile, tag, way)) throw std::runtime_error("no table");
  cmsPipelineFree(way);
}

}  // namespace

ByteVector make_rgb_profile(const RgbSpace& space) {
  const std::array<double, 5> srgb{2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045};
  cmsToneCurve* curve =
      space.gamma > 0 ? cmsBuildGamma(nullptr, space.gamma) : cmsBuildParametricToneCurve(nullptr, 4, srgb.data());
  cmsToneCurve* const curves[] = {curve, curve, curve};
  const auto point = [&](std::size_t at) { return cmsCIExyY{space.xy[2 * at], space.xy[2 * at + 1], 1.0}; };
  const cmsCIExyY white = point(0);
  const cmsCIExyYTRIPLE primaries{point(1), point(2), point(3)};
  ByteVector profile = saved(cmsCreateRGBProfile(&white, &primaries, curves));
  cmsFreeToneCurve(curve);
  return profile;
}

ByteVector make_gray_profile(double gamma) {
  cmsToneCurve* curve = cmsBuildGamma(nullptr, gamma);
  ByteVector profile = saved(cmsCreateGrayProfile(cmsD50_xyY(), curve));
  cmsFreeToneCurve(curve);
  return profile;
}

ByteVector make_cmyk_profile() {
  cmsHPROFILE profile = cmsCreateProfilePlaceholder(nullptr);
  cmsSetProfileVersion(profile, 4.3);
  cmsSetDeviceClass(profile, cmsSigOutputClass);
  cmsSetColorSpace(profile, cmsSigCmykData);
  cmsSetPCS(profile, cmsSigLabData);
  write_table(profile, cmsSigAToB0Tag, 4, 3, ink_to_lab);
  write_table(profile, cmsSigAToB1Tag, 4, 3, ink_to_lab);
  write_table(profile, cmsSigBToA0Tag, 3, 4, lab_to_ink);
  return saved(profile);
}

ByteVector make_link_profile() {
  cmsHPROFILE profile = cmsCreateProfilePlaceholder(nullptr);
  cmsSetDeviceClass(profile, cmsSigLinkClass);
  cmsSetColorSpace(profile, cmsSigRgbData);
  cmsSetPCS(profile, cmsSigLabData);
  write_table(profile, cmsSigAToB0Tag, 3, 3, [](const cmsUInt16Number in[], cmsUInt16Number out[], void*) -> cmsInt32Number {
    std::copy_n(in, 3, out);
    return TRUE;
  });
  return saved(profile);
}

}  // namespace retouchd::image::testing
