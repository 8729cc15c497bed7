#include "config/writer.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "config/keys.h"

namespace retouchd::config {
namespace {

constexpr std::size_t kWidth = 110;

std::string quoted(const std::string& text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_' ||
           c == '-';
  });
  // What YAML would take for something else than a word.
  if (plain && text.front() != '-' && text != "null" && text != "Null" && text != "NULL") return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

template <class Owner>
std::string value_text(const Key<Owner>& key, const Owner& owner) {
  std::vector<std::string> texts;
  for (const std::string& text : key.get(owner)) texts.push_back(quoted(text));
  return key.is_list ? fmt::format("[{}]", fmt::join(texts, ", ")) : texts.front();
}

template <class Owner>
std::string default_text(const Key<Owner>& key) {
  const std::string text = value_text(key, Owner{});
  return text == "\"\"" ? std::string() : text;
}

std::string section_of(const std::string& path) {
  const auto dot = path.find('.');
  return dot == std::string::npos ? std::string() : path.substr(0, dot);
}

std::string name_in_section(const std::string& path) { return path.substr(path.find('.') + 1); }

// The sections in the order of the table, the keys outside of any first ("").
std::vector<std::string> sections() {
  std::vector<std::string> names{""};
  for (const auto& key : config_keys()) {
    if (const std::string name = section_of(key.path); name != names.back()) names.push_back(name);
  }
  return names;
}

std::string comment(const std::string& indent, std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::size_t length = std::min(text.size(), kWidth - indent.size());
    if (length < text.size()) {
      const auto space = text.rfind(' ', length);
      if (space != std::string_view::npos) length = space;
    }
    result += fmt::format("{}# {}\n", indent, text.substr(0, length));
    text.remove_prefix(std::min(text.size(), length + 1));
  }
  return result;
}

template <class Owner>
std::string explanation(const Key<Owner>& key, const std::string& indent) {
  std::string result = comment(indent, key.doc);
  const std::string value = default_text(key);
  std::string facts = "Expected: " + key.allowed + ". ";
  if (key.is_required) {
    facts += "Required.";
  } else if (key.unset.empty()) {
    facts += fmt::format("Default: {}.", value);
  } else {
    facts += fmt::format("Default: {}{}.", value.empty() ? "" : value + ", ", key.unset);
  }
  if (!key.reloadable) facts += " Takes effect at the next start.";
  return result + comment(indent, facts);
}

std::string watch_example() {
  std::string result = comment("", section_doc("watch"));
  result += comment("", "To use this, take the first # away from each of the following lines.");
  result += "#watch:\n";
  bool first = true;
  for (const auto& key : watch_keys()) {
    result += explanation(key, "#    ");
    if (key.path == "move_to") {  // makes sense with another on_success only
      result += fmt::format("#    # {}: {}\n", key.path, quoted(key.example));
    } else {
      result += fmt::format("#  {} {}: {}\n", first ? "-" : " ", key.path,
                            key.example.empty() ? default_text(key) : quoted(key.example));
    }
    first = false;
  }
  return result;
}

// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') {
      result += "\\|";
    } else if (c == '<') {
      result += "&lt;";
    } else {
      result += c;
    }
  }
  return result;
}

template <class Owner>
std::string table_row(const Key<Owner>& key, const std::string& name) {
  std::string value = default_text(key);
  if (!value.empty()) value = fmt::format("`{}`", value);
  if (key.is_required) value = "required";
  if (!key.unset.empty()) value += (value.empty() ? "" : ": ") + key.unset;
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", name, cell(key.doc), cell(value), cell(key.allowed),
                     key.reloadable ? "reload" : "restart");
}

constexpr std::string_view kTableHead = "| key | what it does | default | expected | change by |\n|---|---|---|---|---|\n";

constexpr std::string_view kExampleHead =
    "# Configuration of retouchd. Every key is here with its default: delete what you do not change.\n"
    "# Check it with `retouchd --check-config --config <this file>`; apply it with `systemctl reload retouchd`.\n"
    "# Files conf.d/*.yaml beside this one are merged over it. All about it: docs/configuration.md.\n";

constexpr std::string_view kPageHead = R"(# Configuration

<!-- Written by `config_docs` from config/keys.cpp; change it there. -->

retouchd reads one YAML file, checks it as a whole, and starts only when nothing is wrong in it. Nothing has to be set:
without a file the defaults below hold and pictures are submitted with `retouch submit`.

A whole file may be as short as this:

```yaml
watch:
  - path: /srv/photos/scans
    output: /srv/photos/restored
```

**Which file.** `--config <file>`; else `$XDG_CONFIG_HOME/retouchd/config.yaml` (`~/.config/retouchd/config.yaml`) if it exists;
else `/etc/retouchd/config.yaml` if it exists; else the defaults. Files `conf.d/*.yaml` beside the file are merged over it in the
order of their names: later values win, entries of `watch` are added, other lists are replaced. Without a `config.yaml` beside it
`conf.d` is not read. No environment variable changes a setting; `$STATE_DIRECTORY`, `$RUNTIME_DIRECTORY` and the XDG folders only
choose the defaults of `state_dir` and `runtime_dir`.

**Values.** Durations are whole numbers with a unit: `5ms`, `2s`, `1m`, `24h`, `30d`. Sizes are plain bytes or end with `KiB`, `MiB`,
`GiB` or `TiB`. Paths are absolute or begin with `~/`. `true` and `false` are the only booleans.

**Errors** name file, line and column, all of them at once, and suggest what was meant. `retouchd --check-config` finds them without
starting anything:

    /etc/retouchd/config.yaml:4:5: unknown key `watch.setle`; did you mean `watch.settle`?
    /etc/retouchd/config.yaml:6:9: tile.size: `500` is not allowed; expected a multiple of 8 from 128 to 2048

**Access.** Nobody is asked for a password, so requests and metrics stay on this machine: ZeroMQ endpoints are `ipc://` sockets, whose
`zmq.mode` and folder decide who may use them, or `tcp://` on a loopback address, which every local user may use; HTTP listens on a
loopback address. Anything else is refused. For another machine use an SSH tunnel or a reverse proxy that asks for a password.

**Memory.** `memory` is what retouchd plans with; a `MemoryMax=` of its unit is what the kernel enforces, and should be twice as much.
`auto` keeps to that by itself: it is half of the machine's memory or of the unit's `MemoryMax=`, whichever is less.
[operating.md](operating.md#memory) says more.

**Changes.** `systemctl reload retouchd` (or SIGHUP) reads the files again. A file with errors changes nothing: the old settings stay and
the log says why. The last column tells what a reload can change; for the rest restart the daemon, which loses no work.

The file [config/retouchd.example.yaml](../config/retouchd.example.yaml) holds every key with its default.
)";

}  // namespace

std::string to_yaml(const Config& config) {
  std::string result;
  for (const std::string& section : sections()) {
    if (!section.empty()) result += section + ":\n";
    for (const auto& key : config_keys()) {
      if (section_of(key.path) != section) continue;
      result += fmt::format("{}{}: {}\n", section.empty() ? "" : "  ", name_in_section(key.path), value_text(key, config));
    }
    if (section.empty() && !config.watch.empty()) result += "watch:\n";
    for (const Watch& watch : section.empty() ? config.watch : std::vector<Watch>{}) {
      bool first = true;
      for (const auto& key : watch_keys()) {
        const std::string value = value_text(key, watch);
        if (value == "\"\"") continue;
        result += fmt::format("  {} {}: {}\n", first ? "-" : " ", key.path, value);
        first = false;
      }
    }
  }
  return result;
}

std::string example_config() {
  std::string result(kExampleHead);
  for (const std::string& section : sections()) {
    if (!section.empty()) result += fmt::format("\n{}{}:\n", comment("", section_doc(section)), section);
    const std::string indent = section.empty() ? "" : "  ";
    for (const auto& key : config_keys()) {
      if (section_of(key.path) != section) continue;
      if (section.empty()) result += "\n";
      result += explanation(key, indent) + fmt::format("{}{}: {}\n", indent, name_in_section(key.path), default_text(key));
    }
    if (section.empty()) result += fmt::format("\n{}", watch_example());
  }
  return result;
}

std::string configuration_page() {
  std::string result(kPageHead);
  for (const std::string& section : sections()) {
    result += section.empty() ? "\n## Top level\n\n" : fmt::format("\n## {}\n\n{}\n\n", section, section_doc(section));
    result += kTableHead;
    for (const auto& key : config_keys()) {
      if (section_of(key.path) == section) result += table_row(key, key.path);
    }
    if (!section.empty()) continue;
    result += fmt::format("\n## watch\n\n{} A list: each entry begins with `- path:`.\n\n{}", section_doc("watch"), kTableHead);
    for (const auto& key : watch_keys()) result += table_row(key, key.path);
  }
  return result;
}

}  // namespace retouchd::config
