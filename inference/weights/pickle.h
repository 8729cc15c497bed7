#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inference/weights/byte_source.h"

namespace retouchd::inference {

// A pickle is a program for a small stack machine that can call any Python function. This reader runs the part of it that builds
// data, and never calls anything: a call becomes a value that names what would have been called. What a weight file needs is
// known by name (PickleGlobal); everything else (optimizers, argparse, numpy, gadgets) becomes an opaque value that swallows its
// arguments and state.
//
//   bytes:   }  X "weight"  c torch._utils _rebuild_tensor_v2  ( Q ... t R  s .
//   tree:    dict { "weight": call rebuild_tensor_v2 (persistent ("storage", ...), 0, (2, 3), (3, 1), ...) }
//
// Opcodes: Python's pickletools.py, protocol 2 (what torch.save writes).

/// Functions and classes that weight files consist of.
enum class PickleGlobal : std::uint8_t {
  kOther,
  kOrderedDict,
  kSize,              ///< torch.Size
  kRebuildTensor,     ///< torch._utils._rebuild_tensor and _rebuild_tensor_v2, whose first four arguments agree
  kRebuildParameter,  ///< torch._utils._rebuild_parameter and ..._with_state: the tensor is their first argument
};

using ValueId = std::uint32_t;

struct PickleValue {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,        ///< integer: 0 or 1
    kInteger,     ///< integer
    kText,        ///< text; not necessarily UTF-8
    kTuple,       ///< items
    kList,        ///< items
    kDict,        ///< items: key, value, key, value, ...
    kGlobal,      ///< global; text: "module.name"
    kCall,        ///< of a known global; items: the arguments
    kPersistent,  ///< items: one, its id
    kOpaque,      ///< anything else; text: the class or function where known
  };

  Kind kind = Kind::kNone;
  PickleGlobal global = PickleGlobal::kOther;
  std::uint8_t depth = 0;
  std::int64_t integer = 0;
  std::string text{};
  std::vector<ValueId> items{};
};

/// All values of a pickle. They refer to each other by number, so that cycles and shared values need no care.
struct PickleTree {
  std::vector<PickleValue> values;
  ValueId root = 0;

  [[nodiscard]] const PickleValue& operator[](ValueId id) const { return values[id]; }
};

struct PickleLimits {
  std::uint64_t bytes = 64U << 20U;
  std::size_t values = 4'000'000;
  std::size_t depth = 64;         ///< of open tuples, lists and dictionaries
  std::size_t text = 64U << 10U;  ///< longer texts become opaque
};

/// Reads one pickle up to and including its STOP; the cursor is left behind it. Throws MalformedWeights on anything that is not
/// protocol 2 or exceeds the limits. Memory: at most about 150 bytes a value.
[[nodiscard]] PickleTree read_pickle(ByteCursor& cursor, const PickleLimits& limits = {});

}  // namespace retouchd::inference
