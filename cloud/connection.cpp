#include "cloud/connection.h"

#include <utility>

#include "intake/wire/key_file.h"

namespace retouchd::cloud {

Connect connect_to(const config::Cloud& cloud) {
  return [node = cloud.node, server = cloud.server_key, file = cloud.key]() -> Result<std::unique_ptr<wire::Client>> {
    auto keys = wire::read_key_file(file);
    if (!keys) return keys.error();
    return wire::Client::connect(node, wire::CurveKeys{server, std::move(keys->public_key), std::move(keys->secret_key)});
  };
}

}  // namespace retouchd::cloud
