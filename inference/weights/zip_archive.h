#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "inference/weights/byte_source.h"

namespace retouchd::inference {

/// The directory of a zip archive as torch.save writes it.
///
///   local header + name + padding | data | data descriptor | ... | central directory | zip64 end | end
///
/// Only the central directory is believed (local headers leave the sizes to descriptors), but each local header must be where the
/// directory says and carry the same name, names must differ, and no two entries may share a byte. Nothing is unpacked: torch
/// stores the numbers as they are. CRCs are not compared: torch can be told not to compute them.
/// Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
class ZipArchive {
 public:
  struct Entry {
    std::uint64_t offset = 0;  ///< of the data
    std::uint64_t size = 0;
    bool compressed = false;  ///< or encrypted: not readable
  };

  /// Throws MalformedWeights. Reads the directory and the local headers, no data.
  [[nodiscard]] static ZipArchive open(const ByteSource& source);

  [[nodiscard]] const std::map<std::string, Entry>& entries() const noexcept { return entries_; }
  /// Throws MalformedWeights when there is no such entry or it is compressed.
  [[nodiscard]] const Entry& stored(const std::string& name) const;

 private:
  std::map<std::string, Entry> entries_;
};

}  // namespace retouchd::inference
