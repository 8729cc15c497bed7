#include "inference/manifest.h"

#include <yaml-cpp/yaml.h>

#include <system_error>

#include "base/file.h"

namespace retouchd::inference {
namespace {

constexpr Bytes kMaxManifest = kibibytes(64);

/// A key's value is not what it may be. Stays inside this file.
struct Refusal {
  YAML::Mark mark;
  std::string reason;
};

int whole_number(const YAML::Node& node, const std::string& key, int least, int most) {
  int value = 0;
  if (!YAML::convert<int>::decode(node, value) || value < least || value > most)
    throw Refusal{node.Mark(), "`" + key + "` is a whole number from " + std::to_string(least) + " to " + std::to_string(most)};
  return value;
}

template <class T>
T one_of(const YAML::Node& node, const std::string& key, std::initializer_list<std::pair<const char*, T>> allowed) {
  std::string names;
  for (const auto& [name, value] : allowed) {
    if (node.IsScalar() && node.Scalar() == name) return value;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw Refusal{node.Mark(), "`" + key + "` is one of " + names};
}

std::string text(const YAML::Node& node, const std::string& key) {
  if (!node.IsScalar() || node.Scalar().size() > 200) throw Refusal{node.Mark(), "`" + key + "` is a short text"};
  return node.Scalar();
}

void set(Manifest& manifest, const std::string& key, const YAML::Node& key_node, const YAML::Node& value) {
  if (key == "task") {
    manifest.task = text(value, key);
  } else if (key == "license") {
    manifest.license = text(value, key);
  } else if (key == "scale") {
    manifest.scale = whole_number(value, key, 1, 8);
  } else if (key == "channels") {
    manifest.channels = one_of<int>(value, key, {{"1", 1}, {"3", 3}});
  } else if (key == "companion") {
    manifest.companion = one_of<Companion>(
        value, key, {{"none", Companion::kNone}, {"depth", Companion::kDepth}, {"right", Companion::kRightView}});
  } else if (key == "multiple") {
    manifest.multiple = whole_number(value, key, 1, 256);
  } else if (key == "range") {
    manifest.range = one_of<int>(value, key, {{"1", 1}, {"255", 255}});
  } else if (key == "receptive_field") {
    manifest.receptive_field = whole_number(value, key, 0, 1024);
  } else if (key == "attention") {
    manifest.local_attention = one_of<bool>(value, key, {{"global", false}, {"local", true}});
  } else if (key == "colour") {
    manifest.wants_srgb = one_of<bool>(value, key, {{"file", false}, {"srgb", true}});
  } else {
    throw Refusal{key_node.Mark(), "`" + key + "` is no key of a manifest"};
  }
}

}  // namespace

std::filesystem::path manifest_of(const std::filesystem::path& weights) {
  return std::filesystem::path(weights).replace_extension(".yaml");
}

Result<std::optional<Manifest>> read_manifest(const std::filesystem::path& weights) {
  const auto file = manifest_of(weights);
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::optional<Manifest>{};
  const auto bad = [&file](const YAML::Mark& mark, const std::string& reason) {
    const std::string place = mark.is_null() ? "" : ":" + std::to_string(mark.line + 1);
    return make_error(ErrorCode::kBadWeights, file.string() + place + ": " + reason);
  };
  const auto content = read_file(file, kMaxManifest);
  if (!content) return make_error(ErrorCode::kBadWeights, content.error().message);
  try {
    const YAML::Node root = YAML::Load(std::string(content->begin(), content->end()));
    if (!root.IsMap()) return bad(root.Mark(), "a manifest is a list of `key: value` lines");
    Manifest manifest;
    for (const auto& entry : root) set(manifest, entry.first.as<std::string>(), entry.first, entry.second);
    return std::optional<Manifest>(std::move(manifest));
  } catch (const Refusal& refusal) {
    return bad(refusal.mark, refusal.reason);
  } catch (const YAML::Exception& error) {
    return bad(error.mark, error.msg);
  }
}

}  // namespace retouchd::inference
