#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "inference/weights/byte_source.h"
#include "inference/weights/pickle.h"
#include "inference/weights/weight_file.h"

namespace retouchd::inference {

/// An array of numbers in a .pth file; tensors are views of such.
struct PthStorage {
  std::string dtype;           ///< as WeightHeader::Entry::dtype; empty: a type that we do not read
  std::string type;            ///< as PyTorch calls it, for messages
  std::uint64_t elements = 0;  ///< numbers
  std::uint64_t offset = 0;    ///< of the first, in the file
};

/// What torch.save put into a file: the pickled object, and where its storages lie.
///
/// Zip form (torch 1.6 and later):   <root>/data.pkl, <root>/data/<key> for every storage, <root>/byteorder, <root>/version
/// Legacy form:                      pickles: magic, protocol, system, object, list of keys; then for each key i64 elements, data
struct PthContainer {
  PickleTree object;
  std::map<std::string, PthStorage> storages;  ///< by key
};

/// Reads everything but the numbers, and checks that every storage lies inside the file with the size that the object claims.
/// `format`: kPthZip or kPthLegacy. Throws MalformedWeights.
[[nodiscard]] PthContainer open_pth(const ByteSource& source, WeightFormat format);

/// The reference to a storage inside a tensor, ("storage", type, key, device, elements[, view]).
struct StorageReference {
  std::string key;
  std::string type;
  std::uint64_t elements = 0;
  std::uint64_t view_begin = 0;  ///< legacy files: the part of the storage that is meant, in elements
  std::uint64_t view_elements = 0;
};

/// Throws MalformedWeights when `value` is no such reference.
[[nodiscard]] StorageReference storage_reference(const PickleTree& tree, const PickleValue& value);

}  // namespace retouchd::inference
