#include "inference/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "base/file.h"

namespace retouchd::inference {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's limit
constexpr std::size_t kPrefix = 8;

std::optional<std::uint64_t> size_of_dtype(const std::string& dtype) {
  static const std::map<std::string, std::uint64_t> kSizes{{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                                           {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
  const auto found = kSizes.find(dtype);
  if (found == kSizes.end()) return std::nullopt;
  return found->second;
}

std::uint64_t read_length(std::span<const std::uint8_t, kPrefix> bytes) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kPrefix; ++i) length |= static_cast<std::uint64_t>(bytes[i]) << (8U * i);
  return length;
}

/// Bytes of a tensor of that shape, or nullopt on negative sizes or overflow.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, std::uint64_t item) {
  std::uint64_t total = item;
  for (const std::int64_t side : shape) {
    if (side < 0) return std::nullopt;
    const auto length = static_cast<std::uint64_t>(side);
    if (length != 0 && total > std::numeric_limits<std::uint64_t>::max() / length) return std::nullopt;
    total *= length;
  }
  return total;
}

/// Throws std::string with the reason; read_* add the file's name.
WeightHeader parse_header(std::string_view text, std::uint64_t data_size) {
  if (text.empty() || text.front() != '{') throw std::string("the header is not a JSON object");
  const auto json = nlohmann::json::parse(text);
  WeightHeader header;
  for (const auto& [name, value] : json.items()) {
    if (name == "__metadata__") {
      for (const auto& [key, entry] : value.items()) header.metadata[key] = entry.get<std::string>();
      continue;
    }
    WeightHeader::Entry entry;
    entry.dtype = value.at("dtype").get<std::string>();
    entry.shape = value.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = value.at("data_offsets").get<std::vector<std::uint64_t>>();
    const auto item = size_of_dtype(entry.dtype);
    if (!item) throw "tensor `" + name + "` has the unknown type " + entry.dtype;
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_size) {
      throw "tensor `" + name + "` lies outside of the file";
    }
    entry.begin = offsets[0];
    entry.end = offsets[1];
    const auto bytes = bytes_of(entry.shape, *item);
    if (!bytes || *bytes != entry.end - entry.begin) throw "tensor `" + name + "`: shape and byte range disagree";
    header.tensors.emplace(name, std::move(entry));
  }
  // Contiguous, no holes, no overlaps: sorted ranges must chain from 0 to the end (this also catches a name given twice, of which
  // JSON keeps one).
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  ranges.reserve(header.tensors.size());
  for (const auto& [name, entry] : header.tensors) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t reached = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != reached) throw std::string("tensors overlap or leave holes");
    reached = end;
  }
  if (reached != data_size) throw std::string("the file is cut short or has bytes that belong to no tensor");
  return header;
}

Error bad(const std::filesystem::path& file, const std::string& reason) {
  return make_error(ErrorCode::kBadWeights, file.string() + " is no valid safetensors file: " + reason);
}

}  // namespace

Result<WeightHeader> read_safetensors_header(const std::filesystem::path& file) {
  const auto identity = identify_file(file);
  if (!identity) return make_error(ErrorCode::kBadWeights, identity.error().message);
  std::ifstream in(file, std::ios::binary);
  std::array<std::uint8_t, kPrefix> prefix{};
  if (!in.read(reinterpret_cast<char*>(prefix.data()), kPrefix)) return bad(file, "shorter than its 8-byte prefix");
  const std::uint64_t length = read_length(prefix);
  if (length > kMaxHeader || length + kPrefix > identity->size) return bad(file, "its header would be longer than the file");
  std::string text(length, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(length))) return bad(file, "cut short in the header");
  try {
    return parse_header(text, identity->size - kPrefix - length);
  } catch (const std::string& reason) {
    return bad(file, reason);
  } catch (const nlohmann::json::exception& error) {
    return bad(file, error.what());
  }
}

Result<WeightFile> read_safetensors(const std::filesystem::path& file, Bytes limit) {
  auto header = read_safetensors_header(file);
  if (!header) return header.error();
  auto content = read_file(file, limit);
  if (!content) return make_error(ErrorCode::kBadWeights, content.error().message);
  std::uint64_t data_size = 0;
  for (const auto& [name, entry] : header->tensors) data_size = std::max(data_size, entry.end);
  if (content->size() < kPrefix || content->size() != kPrefix + read_length(std::span(*content).first<kPrefix>()) + data_size)
    return bad(file, "it changed while it was read");
  WeightFile result{std::move(*header), {}};
  content->erase(content->begin(), content->end() - static_cast<std::ptrdiff_t>(data_size));
  result.data = std::move(*content);
  return result;
}

}  // namespace retouchd::inference
