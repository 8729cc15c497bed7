#pragma once

#include <optional>
#include <string>

#include "image/metadata.h"
#include "image/picture.h"

/// XMP packets by Exiv2. Threads: all safe. What Exiv2 throws is passed on, and std::runtime_error where it only says no.
namespace retouchd::image {

/// The namespace of Picture::provenance. It leads nowhere: it only has to be ours.
inline constexpr const char* kProvenanceNamespace = "urn:retouchd:provenance:1#";
inline constexpr const char* kProvenancePrefix = "retouchd";

/// `packet` for the upright pixels of `picture`: orientation 1, their size, no thumbnails, properties of `iptc` (IIM records, may
/// be empty) that it does not have itself, and the picture's provenance instead of an earlier one. An empty packet counts as one
/// without properties; without any the result is empty. A packet that needs no change is returned as it is. `is_turned`: the
/// picture's sides were swapped.
[[nodiscard]] std::string prepare_xmp(const std::string& packet, const Picture& picture, bool is_turned, ByteSpan iptc);

/// JPEG cuts what is larger than a segment into a standard and an extended packet, and names the latter in the former.
struct SplitXmp {
  std::string standard;
  std::string extended;  ///< empty: the standard packet is everything
  std::string guid;      ///< of the extended packet, 32 digits
};

/// `standard` has at most `most` bytes; the largest properties go first.
[[nodiscard]] SplitXmp split_xmp(const std::string& packet, std::size_t most);

/// The guid of the extended packet that belongs to `standard`; "" when there is none.
[[nodiscard]] std::string extended_guid(const std::string& standard);

/// One packet with the properties of both.
[[nodiscard]] std::string merge_xmp(const std::string& standard, const std::string& extended);

}  // namespace retouchd::image
