#include "inference/weights/pth.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "inference/weights/malformed_weights.h"
#include "inference/weights/pth_container.h"
#include "inference/weights/state_dict.h"
#include "inference/weights/tensor_layout.h"

namespace retouchd::inference {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMaxDimensions = 16;
/// Tensors may share numbers or repeat them (stride 0), so that a small file could ask for a lot of memory.
constexpr std::uint64_t kMaxExpansion = 32;
constexpr Bytes kSmall = mebibytes(64);

/// A tensor as a view of its storage.
struct View {
  const std::string* name = nullptr;
  const PthStorage* storage = nullptr;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< in numbers
  std::uint64_t begin = 0;            ///< first number, counted from the storage's first
  std::uint64_t end = 0;              ///< behind the last number that it touches
  bool contiguous = true;
};

struct Views {
  PthContainer container;
  std::map<std::string, ValueId> names;
  std::vector<View> views;
  WeightHeader header;
  std::uint64_t bytes = 0;
};

/// A tuple of numbers, bare or in torch.Size(...).
std::vector<std::int64_t> numbers(const PickleTree& tree, ValueId id) {
  const PickleValue* value = &tree[id];
  if (value->kind == Kind::kCall && value->global == PickleGlobal::kSize && value->items.size() == 1) {
    value = &tree[value->items.front()];
  }
  if (value->kind != Kind::kTuple || value->items.size() > kMaxDimensions) throw MalformedWeights("its shape is damaged");
  std::vector<std::int64_t> result;
  for (const ValueId item : value->items) {
    if (tree[item].kind != Kind::kInteger || tree[item].integer < 0) throw MalformedWeights("its shape is damaged");
    result.push_back(tree[item].integer);
  }
  return result;
}

bool is_contiguous(const View& view) {
  std::uint64_t expected = 1;
  for (std::size_t i = view.shape.size(); i-- > 0;) {
    if (view.shape[i] != 1 && static_cast<std::uint64_t>(view.strides[i]) != expected) return false;
    expected *= static_cast<std::uint64_t>(view.shape[i]);
  }
  return true;
}

/// Finds what the view touches and checks that it stays within the `available` numbers from its begin on.
void bound(View& view, std::uint64_t available, std::uint64_t offset) {
  const bool empty = std::find(view.shape.begin(), view.shape.end(), 0) != view.shape.end();
  std::uint64_t last = offset;
  for (std::size_t i = 0; i < view.shape.size() && !empty; ++i) {
    std::uint64_t step = 0;
    if (__builtin_mul_overflow(static_cast<std::uint64_t>(view.shape[i] - 1), static_cast<std::uint64_t>(view.strides[i]),
                               &step) ||
        __builtin_add_overflow(last, step, &last)) {
      throw MalformedWeights("it lies outside of its storage");
    }
  }
  if (empty ? offset > available : last >= available) throw MalformedWeights("it lies outside of its storage");
  view.begin += offset;
  view.end = empty ? view.begin : view.begin + (last - offset) + 1;
}

View view_of(const PthContainer& container, const PickleValue& tensor) {
  const PickleTree& tree = container.object;
  if (tensor.items.size() < 4 || tree[tensor.items[1]].kind != Kind::kInteger || tree[tensor.items[1]].integer < 0) {
    throw MalformedWeights("its description is damaged");
  }
  const auto reference = storage_reference(tree, tree[tensor.items[0]]);
  View view;
  view.storage = &container.storages.at(reference.key);
  if (view.storage->dtype.empty()) throw MalformedWeights("numbers of type " + reference.type + " are not supported");
  view.shape = numbers(tree, tensor.items[2]);
  view.strides = numbers(tree, tensor.items[3]);
  if (view.shape.size() != view.strides.size()) throw MalformedWeights("its shape is damaged");
  if (!tensor_bytes(view.storage->dtype, view.shape)) throw MalformedWeights("its shape is impossible");
  view.begin = reference.view_begin;
  bound(view, reference.view_elements, static_cast<std::uint64_t>(tree[tensor.items[1]].integer));
  view.contiguous = is_contiguous(view);
  return view;
}

Views find_views(const ByteSource& source, WeightFormat format, Bytes limit) {
  if (source.size() > limit.value) {
    throw MalformedWeights("it has " + to_string(Bytes{source.size()}) + "; the limit is " + to_string(limit));
  }
  Views found;
  found.container = open_pth(source, format);
  found.names = find_state_dict(found.container.object);
  for (const auto& [name, id] : found.names) {
    try {
      found.views.push_back(view_of(found.container, *as_tensor(found.container.object, id)));
    } catch (const MalformedWeights& reason) {
      throw MalformedWeights("tensor `" + name + "`: " + reason.what());
    }
    auto& view = found.views.back();
    view.name = &name;
    found.header.tensors[name] = {view.storage->dtype, view.shape, 0, 0};
  }
  const Bytes plausible{std::max(kSmall.value, source.size() * kMaxExpansion)};
  found.bytes = lay_out(found.header, std::min(limit, plausible));
  return found;
}

/// Copies the numbers of a view, in row-major order. `numbers` holds those from the view's begin to its end.
void gather(const View& view, std::size_t item, std::span<const std::uint8_t> numbers, std::span<std::uint8_t> into) {
  std::vector<std::int64_t> index(view.shape.size(), 0);
  std::size_t from = 0;
  for (std::size_t to = 0; to < into.size(); to += item) {
    std::memcpy(into.data() + to, numbers.data() + from * item, item);
    for (std::size_t i = index.size(); i-- > 0;) {
      from += static_cast<std::size_t>(view.strides[i]);
      if (++index[i] < view.shape[i]) break;
      from -= static_cast<std::size_t>(view.strides[i] * view.shape[i]);
      index[i] = 0;
    }
  }
}

}  // namespace

WeightHeader read_pth_header(const ByteSource& source, WeightFormat format, Bytes limit) {
  return find_views(source, format, limit).header;
}

WeightFile read_pth(const ByteSource& source, WeightFormat format, Bytes limit) {
  Views found = find_views(source, format, limit);
  WeightFile file{std::move(found.header), std::vector<std::uint8_t>(found.bytes)};
  // From the file's front to its back. Only views that are not contiguous need a copy of their storage, made once for all of
  // them.
  std::sort(found.views.begin(), found.views.end(), [](const View& a, const View& b) {
    return std::pair(a.storage->offset, a.begin) < std::pair(b.storage->offset, b.begin);
  });
  const PthStorage* held = nullptr;
  std::vector<std::uint8_t> storage;
  for (const View& view : found.views) {
    const auto& entry = file.header.tensors.at(*view.name);
    const auto into = std::span(file.data).subspan(entry.begin, entry.end - entry.begin);
    const std::uint64_t item = *item_size(entry.dtype);
    if (into.empty()) continue;
    if (view.contiguous) {
      source.read(view.storage->offset + view.begin * item, into);
      continue;
    }
    if (held != view.storage) storage = source.bytes(view.storage->offset, view.storage->elements * item);
    held = view.storage;
    gather(view, item, std::span(storage).subspan(view.begin * item, (view.end - view.begin) * item), into);
  }
  return file;
}

}  // namespace retouchd::inference
