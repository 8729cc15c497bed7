#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "image/metadata.h"

/// The text chunks of PNG files.
namespace retouchd::image {

/// Every text: XMP, IPTC and the EXIF of writers that came before eXIf go to their blocks unless `metadata` already has one, the
/// first comment becomes Metadata::comment, the rest Metadata::texts. Each is inflated to at most `limit` bytes, and so are all
/// that are not blocks together.
void read_png_text(ByteSpan file, Bytes limit, Metadata& metadata, std::string& warnings);

/// One text chunk to write.
struct PngText {
  std::string keyword;
  std::string text;
  bool is_utf8 = false;  ///< iTXt; else ASCII
  bool is_deflated = false;
};

/// Those that carry XMP, IPTC, comment and texts of `blocks`. Keywords that PNG does not allow are left out with a warning.
[[nodiscard]] std::vector<PngText> png_texts_of(const Metadata& blocks, std::string& warnings);

}  // namespace retouchd::image
