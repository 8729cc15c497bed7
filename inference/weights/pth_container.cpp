#include "inference/weights/pth_container.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "inference/weights/malformed_weights.h"
#include "inference/weights/tensor_layout.h"
#include "inference/weights/zip_archive.h"

namespace retouchd::inference {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kLegacyMagicSize = 15;  // the pickled number that weight_file.cpp knows the format by
constexpr std::int64_t kLegacyProtocol = 1001;

std::string dtype_of(std::string_view storage_type) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kTypes{{{"torch.FloatStorage", "F32"},
                                                                                  {"torch.HalfStorage", "F16"},
                                                                                  {"torch.BFloat16Storage", "BF16"},
                                                                                  {"torch.DoubleStorage", "F64"},
                                                                                  {"torch.LongStorage", "I64"},
                                                                                  {"torch.IntStorage", "I32"},
                                                                                  {"torch.ShortStorage", "I16"},
                                                                                  {"torch.CharStorage", "I8"},
                                                                                  {"torch.ByteStorage", "U8"},
                                                                                  {"torch.BoolStorage", "BOOL"}}};
  const auto* found =
      std::find_if(kTypes.begin(), kTypes.end(), [storage_type](const auto& type) { return type.first == storage_type; });
  return found != kTypes.end() ? std::string(found->second) : std::string{};
}

[[noreturn]] void refuse_reference() { throw MalformedWeights("a tensor's reference to its storage is damaged"); }

std::uint64_t count_of(const PickleValue& value) {
  if (value.kind != Kind::kInteger || value.integer < 0) refuse_reference();
  return static_cast<std::uint64_t>(value.integer);
}

/// All storages that the object mentions, also those of optimizers: legacy files can only be walked when each one's type is
/// known.
std::map<std::string, PthStorage> mentioned_storages(const PickleTree& object) {
  std::map<std::string, PthStorage> storages;
  for (const PickleValue& value : object.values) {
    if (value.kind != Kind::kPersistent) continue;
    const auto reference = storage_reference(object, value);
    const auto [found, fresh] =
        storages.emplace(reference.key, PthStorage{dtype_of(reference.type), reference.type, reference.elements, 0});
    if (!fresh && (found->second.type != reference.type || found->second.elements != reference.elements)) {
      throw MalformedWeights("storage `" + reference.key + "` is given with two types or sizes");
    }
  }
  return storages;
}

std::string root_of(const ZipArchive& archive) {
  for (const auto& [name, entry] : archive.entries()) {
    const auto slash = name.find('/');
    if (slash != std::string::npos && std::string_view(name).substr(slash) == "/data.pkl") return name.substr(0, slash + 1);
  }
  throw MalformedWeights("the archive has no data.pkl");
}

PthContainer open_zip(const ByteSource& source) {
  const auto archive = ZipArchive::open(source);
  const std::string root = root_of(archive);
  if (archive.entries().contains(root + "byteorder")) {
    const auto& order = archive.stored(root + "byteorder");
    if (order.size != 6 || ByteCursor(source, order.offset, order.offset + order.size).text(6) != "little") {
      throw MalformedWeights("its numbers are not little-endian; save it again on a PC");
    }
  }
  const auto& pickle = archive.stored(root + "data.pkl");
  ByteCursor cursor(source, pickle.offset, pickle.offset + pickle.size);
  PthContainer container{read_pickle(cursor), {}};
  if (cursor.remaining() != 0) throw MalformedWeights("its pickle is followed by other bytes");
  container.storages = mentioned_storages(container.object);
  for (auto& [key, storage] : container.storages) {
    const auto& record = archive.stored(root + "data/" + key);
    storage.offset = record.offset;
    const auto item = item_size(storage.dtype);
    if (!item) continue;  // refused when a weight needs it
    if (record.size / *item != storage.elements || record.size % *item != 0) {
      throw MalformedWeights("storage `" + key + "` has " + std::to_string(record.size) + " bytes, but is said to have " +
                             std::to_string(storage.elements) + " numbers");
    }
  }
  return container;
}

void expect_little_endian(const PickleTree& system) {
  const PickleValue& dict = system[system.root];
  if (dict.kind != Kind::kDict) throw MalformedWeights("its system information is damaged");
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue& value = system[dict.items[i + 1]];
    if (system[dict.items[i]].text == "little_endian" && (value.kind != Kind::kBool || value.integer != 1)) {
      throw MalformedWeights("its numbers are not little-endian; save it again on a PC");
    }
  }
}

PthContainer open_legacy(const ByteSource& source) {
  ByteCursor cursor(source, 0, source.size());
  cursor.skip(kLegacyMagicSize);
  const auto protocol = read_pickle(cursor);
  if (protocol[protocol.root].kind != Kind::kInteger || protocol[protocol.root].integer != kLegacyProtocol) {
    throw MalformedWeights("it is written with an unknown protocol");
  }
  expect_little_endian(read_pickle(cursor));
  PthContainer container{read_pickle(cursor), {}};
  auto mentioned = mentioned_storages(container.object);
  const auto keys = read_pickle(cursor);
  if (keys[keys.root].kind != Kind::kList) throw MalformedWeights("its list of storages is damaged");
  std::uint64_t position = cursor.position();
  for (const ValueId id : keys[keys.root].items) {
    auto storage = mentioned.extract(keys[id].text);
    if (storage.empty()) throw MalformedWeights("its list of storages does not fit its tensors");
    const auto item = item_size(storage.mapped().dtype);
    if (!item) throw MalformedWeights("numbers of type " + storage.mapped().type + " are not supported");
    if (little_endian(source.bytes(position, 8)) != storage.mapped().elements) {
      throw MalformedWeights("storage `" + storage.key() + "` has another size than its tensors say");
    }
    position += 8;
    if (storage.mapped().elements > (source.size() - position) / *item) throw MalformedWeights("it is cut short");
    storage.mapped().offset = position;
    position += storage.mapped().elements * *item;
    container.storages.insert(std::move(storage));
  }
  if (!mentioned.empty()) throw MalformedWeights("storage `" + mentioned.begin()->first + "` is missing");
  if (position != source.size()) throw MalformedWeights("it is followed by bytes that belong to no tensor");
  return container;
}

}  // namespace

StorageReference storage_reference(const PickleTree& tree, const PickleValue& value) {
  if (value.kind != Kind::kPersistent) refuse_reference();
  const PickleValue& tuple = tree[value.items.front()];
  if (tuple.kind != Kind::kTuple || tuple.items.size() < 5 || tuple.items.size() > 6) refuse_reference();
  const PickleValue& type = tree[tuple.items[1]];
  const PickleValue& key = tree[tuple.items[2]];
  if (tree[tuple.items[0]].text != "storage" || type.kind != Kind::kGlobal || key.kind != Kind::kText) refuse_reference();
  StorageReference reference{key.text, type.text, count_of(tree[tuple.items[4]]), 0, 0};
  reference.view_elements = reference.elements;
  if (tuple.items.size() == 6 && tree[tuple.items[5]].kind != Kind::kNone) {
    const PickleValue& view = tree[tuple.items[5]];
    if (view.kind != Kind::kTuple || view.items.size() != 3) refuse_reference();
    reference.view_begin = count_of(tree[view.items[1]]);
    reference.view_elements = count_of(tree[view.items[2]]);
    if (reference.view_begin > reference.elements || reference.view_elements > reference.elements - reference.view_begin) {
      refuse_reference();
    }
  }
  return reference;
}

PthContainer open_pth(const ByteSource& source, WeightFormat format) {
  return format == WeightFormat::kPthZip ? open_zip(source) : open_legacy(source);
}

}  // namespace retouchd::inference
