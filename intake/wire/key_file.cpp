#include "intake/wire/key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <sstream>
#include <system_error>

#include "base/file.h"

namespace retouchd::wire {
namespace {

namespace fs = std::filesystem;

/// "TEST KEY VALUES" of zmq_curve(7): two pairs that must never guard anything.
constexpr std::array<std::string_view, 4> kExampleKeys{
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"};

using KeyText = std::array<char, kCurveKeyLength + 1>;  // with the zero that libzmq writes

Error refusal(const fs::path& file, const std::string& why) {
  return make_error(ErrorCode::kBadConfig, "key file " + file.string() + ": " + why);
}

/// The text of a file that only its owner, or root, can read.
Result<std::string> read_secret_text(const fs::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid() && errno == ENOENT) return refusal(file, "it does not exist; `retouch keygen` makes one");
  if (!fd.valid()) return refusal(file, std::strerror(errno));
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return refusal(file, std::strerror(errno));
  if (!S_ISREG(about.st_mode)) return refusal(file, "it is not a file");
  // What systemd hands over as a credential may show the right of its reader as that of the group root.
  const mode_t harmless = about.st_gid == 0 ? S_IRGRP : 0;
  if ((about.st_mode & (S_IRWXG | S_IRWXO) & ~harmless) != 0)
    return refusal(file, "others than its owner have access; `chmod 600` it, and make new keys if somebody may have read it");
  std::array<char, 4'096> buffer{};
  const auto got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got < 0) return refusal(file, std::strerror(errno));
  return std::string(buffer.data(), static_cast<std::size_t>(got));
}

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

/// The key that belongs to a secret one.
std::optional<std::string> public_key_of(const std::string& secret) {
  KeyText text{};
  if (::zmq_curve_public(text.data(), secret.c_str()) != 0) return std::nullopt;
  return std::string(text.data());
}

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return error_from_errno(errno, "cannot write a key file", false);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  if (::fsync(fd) != 0) return error_from_errno(errno, "cannot write a key file", false);
  return {};
}

/// Nothing else can open the file before it has its mode.
Result<void> create_secret(const fs::path& file, std::string_view text) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR));
  if (!fd.valid() && errno == EEXIST)
    return make_error(ErrorCode::kOutputExists, "key file " + file.string() + " is there already; --force replaces it");
  if (!fd.valid()) return error_from_errno(errno, "cannot create " + file.string(), false);
  auto written = write_all(fd.get(), text);
  if (!written) ::unlink(file.c_str());
  return written;
}

}  // namespace

bool is_curve_key(std::string_view text) {
  std::array<std::uint8_t, 32> bytes{};
  if (text.size() != kCurveKeyLength || text.find('\0') != std::string_view::npos) return false;
  return ::zmq_z85_decode(bytes.data(), std::string(text).c_str()) != nullptr;
}

bool is_example_key(std::string_view key) {
  return std::find(kExampleKeys.begin(), kExampleKeys.end(), key) != kExampleKeys.end();
}

Result<KeyPair> make_key_pair() {
  KeyText public_key{};
  KeyText secret_key{};
  if (::zmq_curve_keypair(public_key.data(), secret_key.data()) != 0)
    return make_error(ErrorCode::kInternal, std::string("libzmq makes no CURVE keys: ") + ::zmq_strerror(::zmq_errno()));
  return KeyPair{public_key.data(), secret_key.data()};
}

Result<KeyPair> read_key_file(const fs::path& file) {
  const auto text = read_secret_text(file);
  if (!text) return text.error();
  KeyPair keys;
  std::istringstream lines(*text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string content = trimmed(line);
    if (content.empty() || content.front() == '#') continue;
    const auto equals = content.find('=');  // a key may contain one, too
    const std::string name = trimmed(content.substr(0, equals));
    std::string* const key = name == "public" ? &keys.public_key : name == "secret" ? &keys.secret_key : nullptr;
    const std::string where = "line " + std::to_string(number);
    if (equals == std::string::npos || key == nullptr) return refusal(file, where + " is neither `public = ` nor `secret = `");
    if (!key->empty()) return refusal(file, where + " is the second `" + name + "`");
    *key = trimmed(content.substr(equals + 1));
    if (!is_curve_key(*key)) return refusal(file, where + " has no key of 40 characters");
    if (is_example_key(*key)) return refusal(file, where + " has a key that everybody can read in zmq_curve(7)");
  }
  if (keys.public_key.empty() || keys.secret_key.empty())
    return refusal(file, keys.secret_key.empty() ? "`secret = ` is missing" : "`public = ` is missing");
  if (public_key_of(keys.secret_key) != keys.public_key)
    return refusal(file, "the secret key does not belong to the public one; make a new pair with `retouch keygen`");
  return keys;
}

Result<void> write_key_file(const fs::path& file, const KeyPair& keys, bool replace) {
  const std::string text =
      "# CURVE keys of retouchd, made by `retouch keygen`. Keep the secret one to yourself.\npublic = " + keys.public_key +
      "\nsecret = " + keys.secret_key + "\n";
  const fs::path folder = fs::absolute(file).parent_path();
  std::error_code failed;
  if (!fs::exists(folder, failed)) {
    if (auto made = make_directories_synced(folder); !made) return made;
    fs::permissions(folder, fs::perms(0750), failed);
  }
  fs::path target = file;
  if (replace) {
    target += ".new";
    fs::remove(target, failed);  // of a run that was killed
  }
  if (auto created = create_secret(target, text); !created) return created;
  if (replace && ::rename(target.c_str(), file.c_str()) != 0)
    return error_from_errno(errno, "cannot replace " + file.string(), false);
  return sync_directory(folder);
}

}  // namespace retouchd::wire
