#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace retouchd::intake {

/// The daemons that may speak to a node, by their public keys.
///
///     # lines of comment
///     <public key, 40 characters of Z85> <name>
///
/// A name becomes a part of file names and of jobs' origins: 1 to 64 letters, digits, '-', '_' or '.', not first. One client may
/// have several keys, such as an old and a new one.
class ClientList {
 public:
  /// kBadConfig names the file, the line and what is wrong with it.
  [[nodiscard]] static Result<ClientList> read(const std::filesystem::path& file);

  /// Whose key that is; nullopt: nobody's.
  [[nodiscard]] std::optional<std::string> name_of(const std::string& public_key) const;
  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

 private:
  std::map<std::string, std::string> names_;
};

}  // namespace retouchd::intake
