#include "config/draft.h"

#include <algorithm>
#include <tuple>
#include <type_traits>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/checks.h"
#include "config/endpoint.h"
#include "config/keys.h"
#include "config/suggestion.h"

namespace retouchd::config {
namespace {

// A user's text within a one-line message.
std::string shown(std::string text) {
  constexpr std::size_t kLongest = 100;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return "`" + text + "`";
}

std::string describe(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map:
      return "a mapping";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Scalar:
      return shown(node.Scalar());
    default:
      return "nothing";
  }
}

// The column, from 1, of the first tab before the text of line `line`, from 0; 0 when there is none. The parser's own words for
// this mistake, which cannot be seen, are about something else.
int tab_in_indentation(std::string_view text, int line) {
  for (; line > 0; --line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return 0;
    text.remove_prefix(end + 1);
  }
  const auto indentation = text.find_first_not_of(' ');
  return line == 0 && indentation != std::string_view::npos && text[indentation] == '\t' ? static_cast<int>(indentation) + 1 : 0;
}

template <class Owner>
bool is_section(const std::vector<Key<Owner>>& keys, const std::string& path) {
  return std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.path.starts_with(path + "."); });
}

// The names that may stand directly below `prefix` ("" or "tile.").
template <class Owner>
std::vector<std::string> names_below(const std::vector<Key<Owner>>& keys, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& key : keys) {
    if (!key.path.starts_with(prefix)) continue;
    const std::string rest = key.path.substr(prefix.size());
    std::string name = rest.substr(0, rest.find('.'));
    if (names.empty() || names.back() != name) names.push_back(std::move(name));
  }
  if constexpr (std::is_same_v<Owner, Config>) {
    if (prefix.empty()) names.emplace_back("watch");
  }
  return names;
}

// The one key of another section that is called `name`; empty when there is none or more than one.
std::string elsewhere(const std::string& name) {
  std::string found;
  for (const auto& key : config_keys()) {
    const auto dot = key.path.rfind('.');
    if (dot == std::string::npos || key.path.substr(dot + 1) != name) continue;
    if (!found.empty()) return {};
    found = key.path;
  }
  return found;
}

}  // namespace

/// Walks one YAML document into a Draft.
class FileReader {
 public:
  FileReader(Draft& draft, std::string file, const Environment& environment)
      : draft_(draft), file_(std::move(file)), environment_(environment) {}

  void read(std::string_view text) {
    std::vector<YAML::Node> documents;
    try {
      documents = YAML::LoadAll(std::string(text));
      if (documents.size() > 1) return draft_.refuse(file_, "holds several YAML documents (`---`); one is expected");
      if (!documents.empty()) read_document(documents.front());
    } catch (const YAML::Exception& error) {
      if (const int column = tab_in_indentation(text, error.mark.line)) {
        return draft_.add({file_, error.mark.line + 1, column}, "not valid YAML: a tab indents this line; write spaces");
      }
      draft_.add(place_of(error.mark), "not valid YAML: " + error.msg);
    } catch (const std::exception& error) {
      draft_.refuse(file_, fmt::format("not valid YAML: {}", error.what()));
    }
  }

 private:
  void read_document(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (!root.IsMap()) return draft_.add(place_of(root.Mark()), "expected `key: value` lines, found " + describe(root));
    read_map(root, "", "", draft_.config_, config_keys(), draft_.notes_);
  }

  // `prefix` is what known paths below begin with ("tile."), `context` what messages put before them ("watch.").
  template <class Owner>
  void read_map(const YAML::Node& map, const std::string& prefix, const std::string& context, Owner& owner,
                const std::vector<Key<Owner>>& keys, Notes& notes) {
    std::map<std::string, int> first_lines;
    for (const auto& item : map) {
      const Place place = place_of(item.first.Mark());
      if (!item.first.IsScalar()) {
        draft_.add(place, "a key must be a word, found " + describe(item.first));
        continue;
      }
      const std::string& name = item.first.Scalar();
      const std::string path = prefix + name;
      if (const auto [first, is_new] = first_lines.try_emplace(path, place.line); !is_new) {
        draft_.add(place, fmt::format("duplicate key {}; it is already set in line {}", shown(context + path), first->second));
        continue;
      }
      if (name.find('.') != std::string::npos) {
        refuse_dotted(place, path, context, keys);
        continue;
      }
      const auto known = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.path == path; });
      if (known != keys.end()) {
        read_value(item.second, place, *known, context, owner, notes);
      } else if (is_section(keys, path)) {
        if (item.second.IsMap()) {
          read_map(item.second, path + ".", context, owner, keys, notes);
        } else if (!item.second.IsNull()) {
          draft_.add(place_of(item.second.Mark(), place),
                     fmt::format("{}{}: expected a mapping with {}, found {}", context, path,
                                 fmt::join(names_below(keys, path + "."), ", "), describe(item.second)));
        }
      } else if (is_watch_list<Owner>(path)) {
        read_watches(item.second, place);
      } else {
        refuse_unknown(item.second, place, prefix, name, context, keys);
      }
    }
  }

  template <class Owner>
  static bool is_watch_list(const std::string& path) {
    return std::is_same_v<Owner, Config> && path == "watch";
  }

  template <class Owner>
  void read_value(const YAML::Node& node, const Place& key_place, const Key<Owner>& key, const std::string& context, Owner& owner,
                  Notes& notes) {
    const Place place = place_of(node.Mark(), key_place);
    const std::string name = context + key.path;
    const auto refuse = [&](const Place& at, std::string message) {
      notes.refused.insert(key.path);
      draft_.add(at, std::move(message));
    };
    std::vector<std::string> texts;
    std::vector<Place> places;
    if (key.is_list ? !node.IsSequence() : !node.IsScalar()) {
      const bool home = node.IsNull() && key.allowed.find("~/") != std::string::npos;
      return refuse(place, fmt::format("{}: expected {}, found {}{}", name, key.allowed, describe(node),
                                       home ? " (in YAML a lone ~ means nothing; write ~/ for your home folder)" : ""));
    }
    if (key.is_list) {
      for (const auto& entry : node) {
        places.push_back(place_of(entry.Mark(), place));
        if (!entry.IsScalar())
          return refuse(places.back(), fmt::format("{}: expected {}, found {} in the list", name, key.allowed, describe(entry)));
        texts.push_back(entry.Scalar());
      }
    } else {
      texts.push_back(node.Scalar());
    }
    if (const auto refusal = key.set(owner, texts, environment_)) {
      const bool whole = refusal->index >= texts.size();
      const std::string value = whole ? fmt::format("a list of {}", texts.size()) : shown(texts[refusal->index]);
      return refuse(whole || !key.is_list ? place : places[refusal->index],
                    fmt::format("{}: {} is not allowed; expected {}{}", name, value, key.allowed,
                                refusal->why.empty() ? "" : ": " + refusal->why));
    }
    notes.places[key.path] = place;
    notes.refused.erase(key.path);
  }

  void read_watches(const YAML::Node& list, const Place& key_place) {
    if (list.IsNull()) return;
    if (!list.IsSequence()) {
      return draft_.add(place_of(list.Mark(), key_place),
                        "watch: expected a list of folders, each beginning with `- path: /...`, found " + describe(list));
    }
    for (const auto& entry : list) {
      Watch watch;
      Notes notes;
      notes.at = place_of(entry.Mark(), key_place);
      if (!entry.IsMap()) {
        draft_.add(notes.at, "watch: expected an entry with `path:` and `output:`, found " + describe(entry));
        continue;
      }
      read_map(entry, "", "watch.", watch, watch_keys(), notes);
      for (const auto& key : watch_keys()) {
        if (!key.is_required || notes.places.contains(key.path) || notes.refused.contains(key.path)) continue;
        notes.refused.insert(key.path);
        draft_.add(notes.at, fmt::format("watch.{}: missing; {}", key.path, key.doc));
      }
      draft_.config_.watch.push_back(std::move(watch));
      draft_.watch_notes_.push_back(std::move(notes));
    }
  }

  // A section that is unknown as a whole is reported key by key when it is plain what was meant: `tiles.size` for `tile.size`.
  template <class Owner>
  void refuse_unknown(const YAML::Node& value, const Place& place, const std::string& prefix, const std::string& name,
                      const std::string& context, const std::vector<Key<Owner>>& keys) {
    const std::string path = prefix + name;
    const std::string near = nearest(name, names_below(keys, prefix));
    if (value.IsMap() && value.size() > 0 && is_section(keys, prefix + near) && !near.empty()) {
      const auto children = names_below(keys, prefix + near + ".");
      for (const auto& item : value) {
        const std::string child = item.first.IsScalar() ? item.first.Scalar() : std::string();
        const std::string near_child = nearest(child, children);
        refuse_unknown_key(place_of(item.first.Mark(), place), context + path + "." + child,
                           context + prefix + near + (near_child.empty() ? "" : "." + near_child));
      }
      return;
    }
    refuse_unknown_key(place, context + path, near.empty() ? elsewhere(name) : context + prefix + near);
  }

  // Messages name keys with dots; the file does not.
  template <class Owner>
  void refuse_dotted(const Place& place, const std::string& path, const std::string& context,
                     const std::vector<Key<Owner>>& keys) {
    std::vector<std::string> paths;
    for (const auto& key : keys) paths.push_back(key.path);
    if (std::find(paths.begin(), paths.end(), path) == paths.end())
      return refuse_unknown_key(place, context + path, nearest(path, paths));
    const auto dot = path.rfind('.');
    draft_.add(place, fmt::format("unknown key `{0}`; write `{1}:` indented below `{2}:`", path, path.substr(dot + 1),
                                  path.substr(0, dot)));
  }

  void refuse_unknown_key(const Place& place, const std::string& path, const std::string& meant) {
    draft_.add(place, meant.empty() ? fmt::format("unknown key {}", shown(path))
                                    : fmt::format("unknown key {}; did you mean `{}`?", shown(path), meant));
  }

  Place place_of(const YAML::Mark& mark) const { return place_of(mark, {file_, 0, 0}); }
  Place place_of(const YAML::Mark& mark, const Place& otherwise) const {
    return mark.is_null() ? otherwise : Place{file_, mark.line + 1, mark.column + 1};
  }

  Draft& draft_;
  std::string file_;
  const Environment& environment_;
};

void Draft::read(std::string_view text, const std::string& file, const Environment& environment) {
  files_.push_back(file);
  FileReader(*this, file, environment).read(text);
}

void Draft::refuse(const std::string& file, std::string message) {
  files_.push_back(file);
  add({file, 0, 0}, std::move(message));
}

Result<Config> Draft::finish(const std::string& file, const Environment& environment) && {
  fill_in_defaults(config_, environment);
  for (Problem& problem : find_problems(config_)) {
    const Notes& notes = problem.watch ? watch_notes_[*problem.watch] : notes_;
    if (notes.refused.contains(problem.key) || notes.refused.contains(problem.other_key)) continue;
    const auto place = notes.places.find(problem.key);
    add(place != notes.places.end() ? place->second
        : notes.at.line > 0         ? notes.at
                                    : Place{file, 0, 0},
        std::move(problem.message));
  }
  if (errors_.empty()) return std::move(config_);
  const auto position = [this](const Entry& entry) {
    return std::tuple(std::find(files_.begin(), files_.end(), entry.place.file), entry.place.line, entry.place.column);
  };
  std::stable_sort(errors_.begin(), errors_.end(), [&](const Entry& a, const Entry& b) { return position(a) < position(b); });
  std::vector<std::string> lines;
  for (const Entry& error : errors_) {
    lines.push_back(error.place.line > 0
                        ? fmt::format("{}:{}:{}: {}", error.place.file, error.place.line, error.place.column, error.message)
                        : fmt::format("{}: {}", error.place.file, error.message));
  }
  return make_error(ErrorCode::kBadConfig, fmt::format("{}", fmt::join(lines, "\n")));
}

void fill_in_defaults(Config& config, const Environment& environment) {
  if (config.state_dir.empty()) config.state_dir = default_state_dir(environment).lexically_normal();
  if (config.runtime_dir.empty()) config.runtime_dir = default_runtime_dir(environment, config.state_dir).lexically_normal();
  const Endpoints endpoints = default_endpoints(config.runtime_dir);
  if (config.zmq.requests.empty()) config.zmq.requests = endpoints.requests;
  if (config.zmq.events.empty()) config.zmq.events = endpoints.events;
  const auto in_state_dir = [&config](std::filesystem::path& path, const char* name) {
    if (path.empty()) path = config.state_dir / name;
  };
  in_state_dir(config.cascade.calibration, "calibration.json");
  in_state_dir(config.cloud.key, "cloud.key");
  in_state_dir(config.serve.key, "serve.key");
  in_state_dir(config.serve.clients, "serve.clients");
  if (config.memory.value == 0) config.memory = default_memory(environment);
  for (Watch& watch : config.watch) {
    if (watch.name.empty()) watch.name = watch.path.filename().string();
  }
}

}  // namespace retouchd::config
