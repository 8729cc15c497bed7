#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/weights/byte_source.h"

namespace retouchd::inference {

inline const std::filesystem::path kPthFolder = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "tests/inference/data/pth";

/// `text` must outlive it.
inline MemorySource source_of(std::string_view text) {
  return {"memory", {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}};
}

inline std::string number(std::uint64_t value, unsigned bytes) {
  std::string text;
  for (unsigned i = 0; i < bytes; ++i) text += i < 8 ? static_cast<char>(value >> (8 * i)) : '\0';
  return text;
}

/// Writes pickles by hand, also such as no pickler would write.
namespace pickled {

inline std::string text(std::string_view value) { return "X" + number(value.size(), 4) + std::string(value); }
inline std::string integer(std::int64_t value) { return "\x8a\x08" + number(static_cast<std::uint64_t>(value), 8); }
inline std::string global(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string all = "(";
  for (const auto& item : items) all += item;
  return all + "t";
}
inline std::string integers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (const auto value : values) items.push_back(integer(value));
  return tuple(items);
}
inline std::string call(std::string_view module, std::string_view name, const std::vector<std::string>& arguments) {
  return global(module, name) + tuple(arguments) + "R";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all = "}(";
  for (const auto& [key, value] : items) all += text(key) + value;
  return all + "u";
}
inline std::string storage(std::string_view type, std::string_view key, std::int64_t elements) {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(elements)}) + "Q";
}
inline std::string tensor(const std::string& in_storage, std::int64_t offset, const std::vector<std::int64_t>& shape,
                          const std::vector<std::int64_t>& strides) {
  return call("torch._utils", "_rebuild_tensor_v2",
              {in_storage, integer(offset), integers(shape), integers(strides), "\x89", "N"});
}
inline std::string whole(const std::string& value) { return "\x80\x02" + value + "."; }

}  // namespace pickled

struct ZipMember {
  std::string name;
  std::string data;
  std::uint16_t method = 0;
  std::uint32_t claimed_size = 0xffffffff;  ///< instead of the data's, in the directory
};

/// A zip archive of stored members, with data descriptors as torch.save writes it.
inline std::string zip(const std::vector<ZipMember>& members) {
  std::string file, directory;
  for (const auto& member : members) {
    const std::uint64_t size = member.claimed_size != 0xffffffff ? member.claimed_size : member.data.size();
    const std::uint64_t offset = file.size();
    file += "PK\3\4" + number(0, 2) + number(8, 2) + number(member.method, 2) + number(0, 16) + number(member.name.size(), 2) +
            number(0, 2) + member.name + member.data;
    file += "PK\7\10" + number(0, 4) + number(size, 4) + number(size, 4);
    directory += "PK\1\2" + number(0, 4) + number(8, 2) + number(member.method, 2) + number(0, 8) + number(size, 4) +
                 number(size, 4) + number(member.name.size(), 2) + number(0, 12) + number(offset, 4) + member.name;
  }
  const std::uint64_t begin = file.size();
  return file + directory + "PK\5\6" + number(0, 4) + number(members.size(), 2) + number(members.size(), 2) +
         number(directory.size(), 4) + number(begin, 4) + number(0, 2);
}

/// A .pth file with this object and these storages.
inline std::string pth(const std::string& object, const std::vector<std::pair<std::string, std::string>>& storages) {
  std::vector<ZipMember> members{{"x/data.pkl", pickled::whole(object)}, {"x/byteorder", "little"}};
  for (const auto& [key, data] : storages) members.push_back({"x/data/" + key, data});
  return zip(members);
}

}  // namespace retouchd::inference
