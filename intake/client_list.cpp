#include "intake/client_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "intake/wire/key_file.h"

namespace retouchd::intake {
namespace {

bool is_name(const std::string& text) {
  constexpr std::size_t kLongest = 64;
  if (text.empty() || text.size() > kLongest || text.front() == '.') return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'); });
}

}  // namespace

Result<ClientList> ClientList::read(const std::filesystem::path& file) {
  const auto refusal = [&file](const std::string& why) {
    return make_error(ErrorCode::kBadConfig, "serve.clients: " + file.string() + ": " + why);
  };
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0) {
    return refusal(errno == ENOENT
                       ? "it does not exist; it has a line `<public key> <name>` for each daemon that may send pictures"
                       : std::strerror(errno));
  }
  if (!S_ISREG(about.st_mode)) return refusal("it is not a file");
  if ((about.st_mode & S_IWOTH) != 0) return refusal("everybody may change it; `chmod o-w` it");
  std::ifstream input(file);
  if (!input) return refusal("it cannot be read");
  ClientList list;
  std::string line;
  for (int number = 1; std::getline(input, line); ++number) {
    std::istringstream words(line);
    std::string key, name, more;
    words >> key >> name >> more;
    if (key.empty() || key.front() == '#') continue;  // no key begins with '#': its first five characters would exceed 32 bits
    const std::string where = "line " + std::to_string(number) + ": ";
    if (!wire::is_curve_key(key)) return refusal(where + "a line begins with a public key of 40 characters");
    if (wire::is_example_key(key)) return refusal(where + "everybody has the secret of that key, it is printed in zmq_curve(7)");
    if (!is_name(name) || !more.empty())
      return refusal(where + "after the key a name of letters, digits, '-', '_' and '.' is needed, and nothing else");
    if (!list.names_.emplace(key, name).second) return refusal(where + "that key stands there twice");
  }
  if (input.bad()) return refusal("it cannot be read");
  return list;
}

std::optional<std::string> ClientList::name_of(const std::string& public_key) const {
  const auto found = names_.find(public_key);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

}  // namespace retouchd::intake
