#include "inference/weights/weight_file.h"

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "inference/weights/malformed_weights.h"
#include "inference/weights/pth.h"
#include "inference/weights/safetensors.h"
#include "inference/weights/state_dict.h"
#include "inference/weights/zip_archive.h"

namespace retouchd::inference {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t kStart = 512;  // as much as a tar member's header

/// Pickle of the number that begins every legacy file.
constexpr std::string_view kLegacyMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"sv;

/// Files that are taken for weights, by how they start, and what to do about them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kOthers{
    {{"version https://git-lfs"sv, "it is a Git LFS pointer, not the weights themselves; run `git lfs pull`"},
     {"<"sv, "it is a web page; the download went wrong"},
     {"\x80\x02"sv, "it is a pickle, but none that torch.save wrote"},
     {"\x1f\x8b"sv, "it is compressed by gzip; unpack it first"},
     {"\x89HDF"sv, "it is an HDF5 file (Keras); only PyTorch's weights and safetensors are read"},
     {"GGUF"sv, "it is a GGUF file; only PyTorch's weights and safetensors are read"},
     {"7z\xbc\xaf"sv, "it is a 7-Zip archive; unpack it first"}}};

bool ends_with_member(const std::string& name, std::string_view member) {
  const auto slash = name.find('/');
  return slash != std::string::npos && std::string_view(name).substr(slash + 1) == member;
}

WeightFormat format_of_zip(const ByteSource& source) {
  const auto archive = ZipArchive::open(source);
  bool pickle = false;
  bool code = false;
  for (const auto& [name, entry] : archive.entries()) {
    if (name.find("/data/aotinductor/") != std::string::npos || ends_with_member(name, "archive_format")) {
      return WeightFormat::kAotInductor;
    }
    code = code || ends_with_member(name, "constants.pkl") || ends_with_member(name, "model.json");
    pickle = pickle || ends_with_member(name, "data.pkl");
  }
  if (code) return WeightFormat::kTorchScript;
  if (pickle) return WeightFormat::kPthZip;
  throw MalformedWeights("it is a zip archive, but none that PyTorch wrote; if the weights are inside, unpack it first");
}

WeightFormat detect(const ByteSource& source) {
  if (source.size() == 0) throw MalformedWeights("it is empty");
  const auto bytes = source.bytes(0, std::min(source.size(), kStart));
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (start.size() > 8 && start[8] == '{' && little_endian(std::span(bytes).first(8)) <= source.size() - 8) {
    return WeightFormat::kSafetensors;
  }
  if (start.starts_with("PK\3\4")) return format_of_zip(source);
  if (start.starts_with(kLegacyMagic)) return WeightFormat::kPthLegacy;
  if (start.size() > 262 && start.substr(257, 5) == "ustar") {
    throw MalformedWeights(
        "it is a tar archive, as PyTorch before 0.1.10 wrote them; load it with Python and save it again with torch.save");
  }
  for (const auto& [begin, what] : kOthers) {
    if (start.starts_with(begin)) throw MalformedWeights(std::string(what));
  }
  throw MalformedWeights("it is neither a safetensors file nor one that torch.save wrote, or it is damaged");
}

[[noreturn]] void refuse_code(WeightFormat format) {
  const std::string what = format == WeightFormat::kTorchScript ? "TorchScript archive" : "AOTInductor package";
  throw MalformedWeights("it is a " + what +
                         ", which holds code besides weights and runs it; such a file works only as a network " +
                         "in a model folder");
}

/// Whether it is a .pth of either kind; otherwise it is a safetensors file. What holds code is refused.
bool is_pth(WeightFormat format) {
  switch (format) {
    case WeightFormat::kPthZip:
    case WeightFormat::kPthLegacy:
      return true;
    case WeightFormat::kTorchScript:
    case WeightFormat::kAotInductor:
      refuse_code(format);
    case WeightFormat::kSafetensors:
      break;
  }
  return false;
}

WeightHeader header_of(const ByteSource& source, Bytes limit) {
  const WeightFormat format = detect(source);
  if (is_pth(format)) return read_pth_header(source, format, limit);
  auto header = parse_safetensors_header(source, limit);
  header.tensors = without_common_prefix(std::move(header.tensors));
  return header;
}

WeightFile weights_of(const ByteSource& source, Bytes limit) {
  const WeightFormat format = detect(source);
  if (is_pth(format)) return read_pth(source, format, limit);
  auto file = parse_safetensors(source, limit);
  file.header.tensors = without_common_prefix(std::move(file.header.tensors));
  return file;
}

/// Turns what the parsers throw into an error that names the file.
template <class Read>
auto guarded(const ByteSource& source, Read read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const MalformedWeights& reason) {
    return make_error(ErrorCode::kBadWeights, source.name() + " is no weight file that can be read: " + reason.what());
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::kBadWeights, source.name() + " needs more memory than there is");
  }
}

}  // namespace

std::uint64_t WeightHeader::elements() const noexcept {
  std::uint64_t total = 0;
  for (const auto& [name, entry] : tensors) {
    std::uint64_t count = 1;
    for (const std::int64_t side : entry.shape) count *= static_cast<std::uint64_t>(side);
    total += count;
  }
  return total;
}

const WeightHeader::Entry* WeightHeader::find(const std::string& name) const {
  const auto found = tensors.find(name);
  return found != tensors.end() ? &found->second : nullptr;
}

std::string_view to_string(WeightFormat format) noexcept {
  switch (format) {
    case WeightFormat::kSafetensors:
      return "safetensors";
    case WeightFormat::kPthZip:
      return "pth";
    case WeightFormat::kPthLegacy:
      return "pth (legacy)";
    case WeightFormat::kTorchScript:
      return "TorchScript";
    case WeightFormat::kAotInductor:
      break;
  }
  return "AOTInductor";
}

Result<WeightFormat> detect_weight_format(const ByteSource& source) {
  return guarded(source, [&] { return detect(source); });
}

Result<WeightHeader> read_weight_header(const ByteSource& source, Bytes limit) {
  return guarded(source, [&] { return header_of(source, limit); });
}

Result<WeightFile> read_weights(const ByteSource& source, Bytes limit) {
  return guarded(source, [&] { return weights_of(source, limit); });
}

Result<WeightFormat> detect_weight_format(const std::filesystem::path& file) {
  const auto source = FileSource::open(file);
  return source ? detect_weight_format(*source) : source.error();
}

Result<WeightHeader> read_weight_header(const std::filesystem::path& file, Bytes limit) {
  const auto source = FileSource::open(file);
  return source ? read_weight_header(*source, limit) : source.error();
}

Result<WeightFile> read_weights(const std::filesystem::path& file, Bytes limit) {
  const auto source = FileSource::open(file);
  return source ? read_weights(*source, limit) : source.error();
}

}  // namespace retouchd::inference
