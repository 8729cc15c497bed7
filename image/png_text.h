#pragma once

#include <string>

#include "base/units.h"
#include "image/metadata.h"

/// The text chunks of PNG files that carry metadata.
namespace retouchd::image {

inline constexpr const char* kPngXmpKeyword = "XML:com.adobe.xmp";
inline constexpr const char* kPngIptcKeyword = "Raw profile type iptc";

/// XMP and IPTC from text chunks, and the EXIF of writers that came before eXIf. Only chunks whose keyword we know are inflated,
/// each to at most `limit` bytes. A block that `metadata` already has stays.
void read_png_text(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

/// The text of kPngIptcKeyword: ImageMagick's hexadecimal notation, which Exiv2 and ExifTool read too.
[[nodiscard]] std::string png_text_of_iptc(ByteSpan iptc);

}  // namespace retouchd::image
