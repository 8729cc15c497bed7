#pragma once

#include <fmt/format.h>

#include <exception>
#include <exiv2/exiv2.hpp>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "image/metadata.h"

/// What the files that work with Exiv2 share. Only sources of image/ include this.
namespace retouchd::image {

/// Before any use of Exiv2's EXIF: it must not print. Threads: safe.
void prepare_exiv2();

/// To be held while Exiv2 works on XMP, or on whole files, in which it finds XMP. Its toolkit keeps every prefix that any packet
/// declared: without a fresh start a file that says `xmlns:dc="nonsense"` would change what is written for all that come after
/// it. Threads: one holds it at a time; the others wait.
class XmpSession {
 public:
  XmpSession();

 private:
  std::unique_lock<std::mutex> lock_;
};

/// The tags of an EXIF block. Throws what Exiv2 throws, and std::runtime_error when it has no TIFF header.
[[nodiscard]] Exiv2::ExifData decode_exif(ByteSpan block, Exiv2::ByteOrder& order);

/// Removes the tags that describe how a TIFF file stores its pixels, and those that hold what Metadata keeps apart.
void erase_structural(Exiv2::ExifData& tags);

/// Runs `work`; what Exiv2 throws becomes a warning about `block`.
template <class Work>
void or_warn(std::string_view block, std::string& warnings, Work&& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& thrown) {
    add_warning(warnings, fmt::format("the {} cannot be read and is not kept: {}", block, thrown.what()));
  }
}

}  // namespace retouchd::image
