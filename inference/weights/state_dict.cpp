#include "inference/weights/state_dict.h"

#include <nlohmann/json.hpp>

#include "inference/weights/malformed_weights.h"

namespace retouchd::inference {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxWrappers = 4;
constexpr std::size_t kMaxTensors = 100'000;

/// What holds the weights beside epochs and optimizers, the best first (`params_ema`: their moving average).
constexpr std::array<std::string_view, 7> kWrappers{"model_state_dict", "state_dict", "params_ema", "params-ema",
                                                    "params",           "model",      "net"};

std::string describe(const PickleValue& value) {
  switch (value.kind) {
    case Kind::kDict:
      return value.items.empty() ? "an empty dictionary" : "a dictionary";
    case Kind::kTuple:
    case Kind::kList:
      return "a list";
    case Kind::kText:
      return "a text";
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInteger:
      return "a number";
    case Kind::kCall:
      return "a tensor";
    case Kind::kGlobal:
    case Kind::kOpaque:
      return "an object of `" + value.text + "`";
    case Kind::kPersistent:
      break;
  }
  return "a storage";
}

/// A dictionary inside `dict` that wraps the weights, or nullptr.
const PickleValue* unwrap(const PickleTree& tree, const PickleValue& dict) {
  for (const std::string_view wrapper : kWrappers) {
    for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = tree[dict.items[i]];
      const PickleValue& value = tree[dict.items[i + 1]];
      if (key.kind == Kind::kText && key.text == wrapper && value.kind == Kind::kDict) return &value;
    }
  }
  if (dict.items.size() == 2 && tree[dict.items[1]].kind == Kind::kDict) return &tree[dict.items[1]];
  return nullptr;
}

bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

[[noreturn]] void refuse_without_tensors(const PickleTree& tree, const PickleValue& dict) {
  std::string there;
  for (std::size_t i = 0; i + 1 < dict.items.size() && i < 16; i += 2) {
    const PickleValue& key = tree[dict.items[i]];
    if (key.kind != Kind::kText || !is_utf8(key.text)) continue;
    there += (there.empty() ? "`" : ", `") + key.text + "` (" + describe(tree[dict.items[i + 1]]) + ")";
  }
  throw MalformedWeights("it has no tensors where weights are expected" + (there.empty() ? "" : ", but " + there) +
                         "; save the network's state_dict() alone");
}

}  // namespace

const PickleValue* as_tensor(const PickleTree& tree, ValueId id) {
  const PickleValue* value = &tree[id];
  if (value->kind == Kind::kCall && value->global == PickleGlobal::kRebuildParameter && !value->items.empty()) {
    value = &tree[value->items.front()];
  }
  return value->kind == Kind::kCall && value->global == PickleGlobal::kRebuildTensor ? value : nullptr;
}

std::map<std::string, ValueId> find_state_dict(const PickleTree& tree) {
  const PickleValue* dict = &tree[tree.root];
  if (dict->kind != Kind::kDict) {
    throw MalformedWeights("it holds " + describe(*dict) + " instead of a state dict; save the network's state_dict()");
  }
  for (int i = 0; i < kMaxWrappers; ++i) {
    const PickleValue* inner = unwrap(tree, *dict);
    if (inner == nullptr) break;
    dict = inner;
  }
  std::map<std::string, ValueId> tensors;
  for (std::size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleValue& key = tree[dict->items[i]];
    if (key.kind != Kind::kText || as_tensor(tree, dict->items[i + 1]) == nullptr) continue;
    if (key.text.empty() || !is_utf8(key.text)) throw MalformedWeights("a tensor's name is empty or no UTF-8");
    if (!tensors.emplace(key.text, dict->items[i + 1]).second) throw MalformedWeights("tensor `" + key.text + "` is given twice");
    if (tensors.size() > kMaxTensors) throw MalformedWeights("it has more than " + std::to_string(kMaxTensors) + " tensors");
  }
  if (tensors.empty()) refuse_without_tensors(tree, *dict);
  return without_common_prefix(std::move(tensors));
}

}  // namespace retouchd::inference
