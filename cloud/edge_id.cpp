#include "cloud/edge_id.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <vector>

#include "base/file.h"

namespace retouchd::cloud {
namespace {

constexpr std::size_t kDigits = 32;

bool is_id(const std::string& text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<std::string> edge_id(const std::filesystem::path& state_dir) {
  const auto file = state_dir / "edge_id";
  if (const auto read = read_file(file, kibibytes(1))) {
    if (std::string known(read->begin(), read->end()); is_id(known)) return known;
  }
  std::random_device random;
  std::string made;
  while (made.size() < kDigits) made += fmt::format("{:08x}", random());
  auto temporary = file;
  temporary += ".new";
  if (auto written = write_file_synced(temporary, std::vector<std::uint8_t>(made.begin(), made.end())); !written)
    return written.error();
  if (std::rename(temporary.c_str(), file.c_str()) != 0)
    return error_from_errno(errno, "cannot rename " + temporary.string(), false);
  if (auto synced = sync_directory(state_dir); !synced) return synced.error();
  return made;
}

}  // namespace retouchd::cloud
