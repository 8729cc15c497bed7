#pragma once

#include <libheif/heif.h>

#include <cstdint>
#include <optional>

#include "image/cicp.h"

/// The HEVC decoder that libheif is given instead of its own: in the calling thread, within limits, and with chroma
/// interpolated. (That of libheif 1.15 starts a thread for each picture, and spreads chroma in blocks.)
namespace retouchd::image {

/// What the pictures of one file are decoded with: in force in the thread that holds it, while it lives.
class HevcScope {
 public:
  /// `colours`: what the file's boxes say of them, which counts more than the HEVC data; may be null. `pixels`, `side`: of one
  /// coded picture, the largest that is decoded. Both must outlive the scope.
  HevcScope(const heif_color_profile_nclx* colours, std::uint64_t pixels, std::uint32_t side);
  ~HevcScope();
  HevcScope(const HevcScope&) = delete;
  HevcScope& operator=(const HevcScope&) = delete;

  [[nodiscard]] bool was_too_large() const noexcept { return was_too_large_; }
  [[nodiscard]] bool was_out_of_memory() const noexcept { return was_out_of_memory_; }
  /// A picture came out, but not all of it could be decoded.
  [[nodiscard]] bool was_damaged() const noexcept { return was_damaged_; }
  /// Of the first coded picture.
  [[nodiscard]] Cicp cicp() const noexcept { return cicp_; }

 private:
  friend struct HevcDecoder;

  const heif_color_profile_nclx* colours_;
  std::uint64_t pixels_;
  std::uint32_t side_;
  bool was_too_large_ = false;
  bool was_out_of_memory_ = false;
  bool was_damaged_ = false;
  bool has_cicp_ = false;
  Cicp cicp_;
};

/// Registers the decoder, once per process. Threads: safe.
void register_hevc_plugin();

}  // namespace retouchd::image
