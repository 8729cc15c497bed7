#include "image/xmp_packet.h"

#include <algorithm>
#include <exiv2/exiv2.hpp>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "image/exif_tags.h"
#include "image/md5.h"
#include "image/utf8.h"

namespace retouchd::image {
namespace {

constexpr const char* kHasExtended = "Xmp.xmpNote.HasExtendedXMP";

/// Knows our namespace, too.
class PacketSession {
 public:
  PacketSession() {
    Exiv2::XmpProperties::registerNs(kProvenanceNamespace, kProvenancePrefix);
    Exiv2::XmpProperties::registerNs("http://ns.adobe.com/xmp/note/", "xmpNote");  // of kHasExtended
  }

 private:
  XmpSession session_;
};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' || c == '_' || c == '-' ||
         c == '.';
}

/// The toolkit takes time by the square of the properties that have different names (20,000: 10 s), and a stack frame for each
/// element within an element; so that is counted first. Generous towards what only looks like a name.
void check_shape(std::string_view packet) {
  constexpr std::size_t kMostNames = 5000;
  constexpr int kDeepest = 100;
  std::unordered_set<std::string_view> names;
  int depth = 0;
  for (std::size_t at = 0; at < packet.size(); ++at) {
    const char next = at + 1 < packet.size() ? packet[at + 1] : '\0';
    if (packet[at] == '<' && is_name_character(next)) {
      const std::size_t start = at + 1;
      while (at + 1 < packet.size() && is_name_character(packet[at + 1])) ++at;
      names.insert(packet.substr(start, at + 1 - start));
      ++depth;
    } else if ((packet[at] == '<' && next == '/') || (packet[at] == '/' && next == '>')) {
      --depth;
    } else if (packet[at] == '=' && (next == '"' || next == '\'')) {
      std::size_t start = at;
      while (start > 0 && is_name_character(packet[start - 1])) --start;
      names.insert(packet.substr(start, at - start));
    }
    if (depth > kDeepest) throw std::runtime_error("its elements are nested too deeply");
    if (names.size() > kMostNames) throw std::runtime_error("it has too many different properties");
  }
}

Exiv2::XmpData parsed(const std::string& packet) {
  if (packet.find('\0') == std::string::npos) {
    check_shape(packet);
  } else {  // UTF-16 or UTF-32
    std::string narrow = packet;
    std::erase(narrow, '\0');
    check_shape(narrow);
  }
  Exiv2::XmpData properties;
  if (!packet.empty() && Exiv2::XmpParser::decode(properties, packet) != 0) throw std::runtime_error("the XML is not XMP");
  return properties;
}

std::string serialized(const Exiv2::XmpData& properties, int flags = Exiv2::XmpParser::useCompactFormat) {
  std::string packet;
  if (properties.empty()) return packet;
  constexpr std::uint32_t kPadding = 1;  // nobody edits in place; 0 would mean 2 KiB
  if (Exiv2::XmpParser::encode(packet, properties, static_cast<std::uint16_t>(flags), kPadding) != 0) {
    throw std::runtime_error("Exiv2 could not write it again");
  }
  return packet;
}

/// "Xmp.xmpMM.History" of "Xmp.xmpMM.History[1]/stEvt:action".
std::string top_of(const std::string& key) { return key.substr(0, key.find_first_of("[/")); }

std::string text_of(const Exiv2::XmpData& properties, const char* key) {
  const auto found = properties.findKey(Exiv2::XmpKey(key));
  return found == properties.end() ? std::string() : found->toString();
}

/// Adds the properties of `more` whose name is not there.
bool add_missing(Exiv2::XmpData& properties, const Exiv2::XmpData& more) {
  std::set<std::string> present;
  for (const Exiv2::Xmpdatum& property : properties) present.insert(top_of(property.key()));
  bool is_changed = false;
  for (const Exiv2::Xmpdatum& property : more) {
    if (present.contains(top_of(property.key()))) continue;
    properties.add(property);
    is_changed = true;
  }
  return is_changed;
}

Exiv2::XmpData properties_of_iptc(ByteSpan iptc) {
  Exiv2::IptcData records;
  if (Exiv2::IptcParser::decode(records, iptc.data(), static_cast<std::uint32_t>(iptc.size())) != 0) {
    throw std::runtime_error("the IPTC cannot be read");
  }
  // Exiv2 would ask iconv, which opens files.
  for (Exiv2::Iptcdatum& record : records) {
    if (record.typeId() == Exiv2::string) record.setValue(utf8_of(record.toString()));
  }
  Exiv2::XmpData properties;
  Exiv2::copyIptcToXmp(records, properties, "UTF-8");
  return properties;
}

bool update_pixels(Exiv2::XmpData& properties, const Picture& picture, bool is_turned) {
  bool is_changed = false;
  const std::string x = text_of(properties, "Xmp.tiff.XResolution");
  const std::string y = text_of(properties, "Xmp.tiff.YResolution");
  const std::map<std::string, std::string> values{
      {"Xmp.tiff.Orientation", "1"},
      {"Xmp.tiff.ImageWidth", std::to_string(picture.width())},
      {"Xmp.tiff.ImageLength", std::to_string(picture.height())},
      {"Xmp.exif.PixelXDimension", std::to_string(picture.width())},
      {"Xmp.exif.PixelYDimension", std::to_string(picture.height())},
      {"Xmp.tiff.XResolution", is_turned && !y.empty() ? y : x},
      {"Xmp.tiff.YResolution", is_turned && !x.empty() ? x : y},
  };
  for (auto property = properties.begin(); property != properties.end();) {
    const std::string key = property->key();
    // A thumbnail shows the old pixels; an extended part that could not be read is not there any more.
    if (key.starts_with("Xmp.xmp.Thumbnails") || key == kHasExtended) {
      property = properties.erase(property);
      is_changed = true;
      continue;
    }
    const auto value = values.find(key);
    if (value != values.end() && property->toString() != value->second) {
      property->setValue(value->second);
      is_changed = true;
    }
    ++property;
  }
  return is_changed;
}

bool set_provenance(Exiv2::XmpData& properties, const Provenance& provenance) {
  if (provenance.empty()) return false;
  const std::string start = std::string("Xmp.") + kProvenancePrefix + '.';
  for (auto property = properties.begin(); property != properties.end();) {
    property = property->key().starts_with(start) ? properties.erase(property) : std::next(property);
  }
  for (const auto& [name, text] : provenance) properties[start + name] = utf8_of(text);
  return true;
}

}  // namespace

std::string prepare_xmp(const std::string& packet, const Picture& picture, bool is_turned, ByteSpan iptc) {
  const PacketSession session;
  Exiv2::XmpData properties = parsed(packet);
  const bool is_wide = packet.find('\0') != std::string::npos;  // every format wants UTF-8
  bool is_changed = update_pixels(properties, picture, is_turned) || is_wide;
  if (!iptc.empty()) is_changed = add_missing(properties, properties_of_iptc(iptc)) || is_changed;
  is_changed = set_provenance(properties, picture.provenance) || is_changed;
  return is_changed ? serialized(properties) : packet;
}

std::string extended_guid(const std::string& standard) {
  const PacketSession session;
  return text_of(parsed(standard), kHasExtended);
}

std::string merge_xmp(const std::string& standard, const std::string& extended) {
  const PacketSession session;
  Exiv2::XmpData properties = parsed(standard);
  const auto note = properties.findKey(Exiv2::XmpKey(kHasExtended));
  if (note != properties.end()) properties.erase(note);
  add_missing(properties, parsed(extended));
  return serialized(properties);
}

SplitXmp split_xmp(const std::string& packet, std::size_t most) {
  if (packet.size() <= most) return {packet, {}, {}};
  const PacketSession session;
  Exiv2::XmpData properties = parsed(packet);
  SplitXmp split{serialized(properties), {}, {}};  // may be smaller: compact, without padding
  if (split.standard.size() <= most) return split;

  std::map<std::string, std::size_t> sizes;
  for (const Exiv2::Xmpdatum& property : properties) {
    sizes[top_of(property.key())] += property.key().size() + static_cast<std::size_t>(property.size());
  }
  std::vector<std::pair<std::size_t, std::string>> largest;
  for (const auto& [name, size] : sizes) largest.emplace_back(size, name);
  std::sort(largest.rbegin(), largest.rend());

  Exiv2::XmpData extended;
  constexpr std::size_t kNote = 200;  // what naming the extended packet takes
  properties[kHasExtended] = std::string(32, '0');
  for (auto next = largest.begin(); split.standard.size() > most && next != largest.end();) {
    std::set<std::string> moved;
    const std::size_t excess = split.standard.size() + kNote - most;
    for (std::size_t saved = 0; saved < excess && next != largest.end(); ++next) {
      saved += next->first;
      moved.insert(next->second);
    }
    Exiv2::XmpData kept;
    for (const Exiv2::Xmpdatum& property : properties) {
      (moved.contains(top_of(property.key())) ? extended : kept).add(property);
    }
    properties = std::move(kept);
    split.standard = serialized(properties);
  }
  split.extended = serialized(extended, Exiv2::XmpParser::useCompactFormat | Exiv2::XmpParser::omitPacketWrapper);
  split.guid = md5_hex({reinterpret_cast<const unsigned char*>(split.extended.data()), split.extended.size()});
  properties[kHasExtended] = split.guid;
  split.standard = serialized(properties);
  return split;
}

}  // namespace retouchd::image
