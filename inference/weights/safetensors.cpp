#include "inference/weights/safetensors.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "inference/weights/malformed_weights.h"
#include "inference/weights/tensor_layout.h"

namespace retouchd::inference {
namespace {

using nlohmann::json;

constexpr std::uint64_t kPrefix = 8;
/// The reference implementation's limit is 100 MB, but parsed JSON takes many times its length; 100,000 tensors fit.
constexpr std::uint64_t kMaxHeader = 32U << 20U;
constexpr int kMaxDepth = 3;
constexpr std::size_t kAlignment = 8;
constexpr std::string_view kMetadata = "__metadata__";

json parse_json(const std::string& text) {
  if (text.empty() || text.front() != '{') throw MalformedWeights("its header is not a JSON object");
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    if (depth > kMaxDepth) throw MalformedWeights("its header is nested too deeply");
    return true;
  };
  return json::parse(text, shallow);
}

/// Up to 2^63 - 1; conversions of json's own would also take 1e300, true or -1.
std::vector<std::uint64_t> whole_numbers(const json& array) {
  if (!array.is_array()) throw MalformedWeights("its header has no list where one is expected");
  std::vector<std::uint64_t> numbers;
  for (const json& item : array) {
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() >> 63U != 0) {
      throw MalformedWeights("its header holds sizes that are no whole numbers");
    }
    numbers.push_back(item.get<std::uint64_t>());
  }
  return numbers;
}

WeightHeader::Entry parse_entry(const std::string& name, const json& value, std::uint64_t data_size) {
  WeightHeader::Entry entry;
  entry.dtype = value.at("dtype").get<std::string>();
  for (const std::uint64_t side : whole_numbers(value.at("shape"))) entry.shape.push_back(static_cast<std::int64_t>(side));
  const auto offsets = whole_numbers(value.at("data_offsets"));
  if (!item_size(entry.dtype)) throw MalformedWeights("tensor `" + name + "` has the unknown type " + entry.dtype);
  if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_size) {
    throw MalformedWeights("tensor `" + name + "` lies outside of the file");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (tensor_bytes(entry.dtype, entry.shape) != entry.end - entry.begin) {
    throw MalformedWeights("tensor `" + name + "`: shape and byte range disagree");
  }
  return entry;
}

/// Contiguous, no holes, no overlaps: sorted ranges must chain from 0 to the end (this also catches a name given twice, of which
/// JSON keeps one).
void expect_gapless(const WeightHeader& header, std::uint64_t data_size) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  ranges.reserve(header.tensors.size());
  for (const auto& [name, entry] : header.tensors) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  std::uint64_t reached = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != reached) throw MalformedWeights("tensors overlap or leave holes");
    reached = end;
  }
  if (reached != data_size) throw MalformedWeights("it is cut short or has bytes that belong to no tensor");
}

/// Length of the header; throws when it does not fit the file.
std::uint64_t header_length(const ByteSource& source, Bytes limit) {
  if (source.size() > limit.value) {
    throw MalformedWeights("it has " + to_string(Bytes{source.size()}) + "; the limit is " + to_string(limit));
  }
  if (source.size() < kPrefix) throw MalformedWeights("it is shorter than its 8-byte prefix");
  const std::uint64_t length = little_endian(source.bytes(0, kPrefix));
  if (length > source.size() - kPrefix) throw MalformedWeights("its header would be longer than the file");
  if (length > kMaxHeader) throw MalformedWeights("its header is longer than " + to_string(Bytes{kMaxHeader}));
  return length;
}

template <class Parse>
auto parse_file(const std::filesystem::path& file, Parse parse) -> Result<decltype(parse(std::declval<const ByteSource&>()))> {
  const auto source = FileSource::open(file);
  if (!source) return source.error();
  try {
    return parse(*source);
  } catch (const MalformedWeights& reason) {
    return make_error(ErrorCode::kBadWeights, file.string() + " is no valid safetensors file: " + reason.what());
  }
}

}  // namespace

WeightHeader parse_safetensors_header(const ByteSource& source, Bytes limit) {
  const std::uint64_t length = header_length(source, limit);
  const auto bytes = source.bytes(kPrefix, length);
  const std::uint64_t data_size = source.size() - kPrefix - length;
  WeightHeader header;
  try {
    const json parsed = parse_json({bytes.begin(), bytes.end()});
    for (const auto& [name, value] : parsed.items()) {
      if (name == kMetadata) {
        header.metadata = value.get<std::map<std::string, std::string>>();
      } else {
        header.tensors.emplace(name, parse_entry(name, value, data_size));
      }
    }
  } catch (const json::exception& error) {
    throw MalformedWeights(error.what());
  }
  expect_gapless(header, data_size);
  return header;
}

WeightFile parse_safetensors(const ByteSource& source, Bytes limit) {
  WeightFile file{parse_safetensors_header(source, limit), {}};
  const std::uint64_t begin = kPrefix + header_length(source, limit);
  file.data = source.bytes(begin, source.size() - begin);
  return file;
}

Result<WeightHeader> read_safetensors_header(const std::filesystem::path& file, Bytes limit) {
  return parse_file(file, [limit](const ByteSource& source) { return parse_safetensors_header(source, limit); });
}

Result<WeightFile> read_safetensors(const std::filesystem::path& file, Bytes limit) {
  return parse_file(file, [limit](const ByteSource& source) { return parse_safetensors(source, limit); });
}

Result<std::vector<std::uint8_t>> format_safetensors(const WeightFile& weights) {
  WeightHeader header = weights.header;
  try {
    const std::uint64_t size = lay_out(header, Bytes{weights.data.size()});
    json described = json::object();
    if (!header.metadata.empty()) described[kMetadata] = header.metadata;
    for (const auto& [name, entry] : header.tensors) {
      if (name == kMetadata) throw MalformedWeights("a tensor cannot be named " + name);
      described[name] = {{"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {entry.begin, entry.end}}};
    }
    // A source's file name may be in any encoding.
    std::string text = described.dump(-1, ' ', false, json::error_handler_t::replace);
    text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
    std::vector<std::uint8_t> bytes(kPrefix + text.size() + size);
    for (std::size_t i = 0; i < kPrefix; ++i) bytes[i] = static_cast<std::uint8_t>(text.size() >> (8 * i));
    std::copy(text.begin(), text.end(), bytes.begin() + kPrefix);
    const auto numbers = std::span(bytes).subspan(kPrefix + text.size());
    for (const auto& [name, entry] : header.tensors) {
      const auto& old = weights.header.tensors.at(name);
      std::copy_n(weights.data.begin() + static_cast<std::ptrdiff_t>(old.begin), entry.end - entry.begin,
                  numbers.begin() + static_cast<std::ptrdiff_t>(entry.begin));
    }
    return bytes;
  } catch (const std::exception& error) {
    return make_error(ErrorCode::kBadWeights, std::string("cannot be written as safetensors: ") + error.what());
  }
}

Result<void> write_safetensors(const std::filesystem::path& file, const WeightFile& weights) {
  const auto bytes = format_safetensors(weights);
  if (!bytes) return make_error(bytes.error().code, file.string() + " " + bytes.error().message);
  auto temporary = file;
  temporary += ".tmp" + std::to_string(::getpid());
  auto written = write_file_synced(temporary, *bytes);
  if (written && std::rename(temporary.c_str(), file.c_str()) != 0) {
    written = error_from_errno(errno, "cannot replace " + file.string(), false);
  }
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_directory(file.has_parent_path() ? file.parent_path() : ".");
}

}  // namespace retouchd::inference
