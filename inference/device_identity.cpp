#include "inference/device_identity.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "base/file.h"

namespace retouchd::inference {
namespace {

/// What the compiler's -march=native goes by; other flags change with the kernel.
constexpr std::array<std::string_view, 9> kInstructionSets{"amx", "avx", "bmi", "f16c", "fma", "gfni", "sse", "vaes", "vpclmul"};
/// The widest, best first, for people.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kIsaNames{
    {{"amx_bf16", "AMX"}, {"avx512_bf16", "AVX512 with bf16"}, {"avx512f", "AVX512"}, {"avx2", "AVX2"}, {"sse4_2", "SSE4.2"}}};

/// What follows "name : " in the first line that begins with it.
std::string value_of(std::string_view text, std::string_view name) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with(name) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

/// Attributes of the driver's interface, whose numbers do not change.
constexpr int kMajor = 75;
constexpr int kMinor = 76;

/// The driver is asked, which LibTorch has loaded; its interface needs no header of a toolkit.
DeviceIdentity identify_cuda(int index) {
  using DeviceGet = int (*)(int* device, int ordinal);
  using DeviceGetName = int (*)(char* name, int length, int device);
  using DeviceGetAttribute = int (*)(int* value, int attribute, int device);
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW);
  const auto function = [driver](const char* name) { return driver == nullptr ? nullptr : ::dlsym(driver, name); };
  const auto get = reinterpret_cast<DeviceGet>(function("cuDeviceGet"));
  const auto get_name = reinterpret_cast<DeviceGetName>(function("cuDeviceGetName"));
  const auto get_attribute = reinterpret_cast<DeviceGetAttribute>(function("cuDeviceGetAttribute"));
  std::array<char, 256> name{};
  int device = 0;
  int major = 0;
  int minor = 0;
  if (get == nullptr || get_name == nullptr || get_attribute == nullptr || get(&device, index) != 0 ||
      get_name(name.data(), static_cast<int>(name.size()) - 1, device) != 0 || get_attribute(&major, kMajor, device) != 0 ||
      get_attribute(&minor, kMinor, device) != 0)
    return {"cuda-unknown", "an NVIDIA GPU that does not tell its name"};
  return identify_gpu(name.data(), major, minor);
}

}  // namespace

DeviceIdentity identify_cpu(std::string_view cpuinfo) {
  const std::string model = value_of(cpuinfo, "model name");
  std::set<std::string> sets;
  std::istringstream flags(value_of(cpuinfo, "flags"));
  for (std::string flag; flags >> flag;) {
    if (std::any_of(kInstructionSets.begin(), kInstructionSets.end(), [&](auto set) { return flag.starts_with(set); }))
      sets.insert(flag);
  }
  std::string all = model;
  for (const std::string& set : sets) all += " " + set;
  const std::string digest = sha256_hex({reinterpret_cast<const std::uint8_t*>(all.data()), all.size()});
  DeviceIdentity identity{"cpu-" + digest.substr(0, 12), model.empty() ? "CPU" : model};
  const auto* isa = std::find_if(kIsaNames.begin(), kIsaNames.end(),
                                 [&](const auto& entry) { return sets.contains(std::string(entry.first)); });
  if (isa != kIsaNames.end()) identity.description += ", " + std::string(isa->second);
  return identity;
}

DeviceIdentity identify_gpu(std::string_view name, int major, int minor) {
  std::string key = "cuda-";
  for (const char letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    if (std::isalnum(byte) != 0) {
      key += static_cast<char>(std::tolower(byte));
    } else if (key.back() != '-') {
      key += '-';
    }
  }
  if (key.back() != '-') key += '-';
  key += "sm" + std::to_string(major) + std::to_string(minor);
  return {key, std::string(name) + ", compute capability " + std::to_string(major) + "." + std::to_string(minor)};
}

DeviceIdentity identify_device(const at::Device& device) {
  if (device.is_cuda()) return identify_cuda(device.index());
  if (!device.is_cpu()) return {device.str(), device.str()};
  std::ifstream file("/proc/cpuinfo");
  return identify_cpu(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace retouchd::inference
