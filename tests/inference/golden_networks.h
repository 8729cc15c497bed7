#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "inference/device.h"
#include "inference/registry.h"
#include "inference/weights/safetensors.h"
#include "weight_files.h"

namespace retouchd::inference {

inline const std::filesystem::path kModels = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "models";
inline const std::filesystem::path kGolden = std::filesystem::path(RETOUCHD_SOURCE_DIR) / "tests/inference/data/golden";

/// A CPU device with two threads.
inline std::unique_ptr<Device> cpu_device(bool deterministic = false) {
  DeviceOptions options{"cpu", 2};
  options.deterministic = deterministic;
  auto devices = open_devices(options);
  if (!devices) throw std::runtime_error(devices.error().message);
  return std::move(devices->front());
}

/// The network of a weight file as the registry would list it.
inline NetworkInfo listed(const std::filesystem::path& file) {
  auto info = describe_network(file, true, false);
  if (!info) throw std::runtime_error(info.error().message);
  info->sha256 = *sha256_hex_of_file(file);
  return *info;
}

/// A file of data/golden without the example in it, as a weight file of its own in `folder`.
inline NetworkInfo network_of_golden(const TemporaryFolder& folder, const std::string& name) {
  auto weights = read_safetensors(kGolden / (name + ".safetensors"));
  if (!weights) throw std::runtime_error(weights.error().message);
  std::erase_if(weights->header.tensors, [](const auto& entry) { return entry.first.starts_with("golden."); });
  const auto file = folder.path() / (name + ".safetensors");
  if (const auto written = write_safetensors(file, *weights); !written) throw std::runtime_error(written.error().message);
  return listed(file);
}

/// The built-in network as `folder`/mine.safetensors, with other metadata, so that its digest differs; `does_nothing` makes it
/// return what it is given.
inline NetworkInfo version_of_student(const TemporaryFolder& folder, const std::string& version, bool does_nothing) {
  auto weights = read_safetensors(kModels / "student-tiny.safetensors");
  if (!weights) throw std::runtime_error(weights.error().message);
  weights->header.metadata["version"] = version;
  for (const char* name : {"ending.weight", "ending.bias"}) {
    const auto& entry = weights->header.tensors.at(name);
    if (does_nothing) std::memset(weights->data.data() + entry.begin, 0, entry.end - entry.begin);
  }
  const auto file = folder.path() / "mine.safetensors";
  if (const auto written = write_safetensors(file, *weights); !written) throw std::runtime_error(written.error().message);
  return listed(file);
}

}  // namespace retouchd::inference
