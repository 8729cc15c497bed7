#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "config/config.h"
#include "intake/wire/client.h"

namespace retouchd::cloud {

/// Makes a fresh connection to the node. Called from any thread, one call at a time for each connection.
using Connect = std::function<Result<std::unique_ptr<wire::Client>>()>;

/// To `cloud.node` with the keys that the configuration names. The key file is read for every connection, so that one made later
/// is found: kBadConfig says what is wrong with it.
[[nodiscard]] Connect connect_to(const config::Cloud& cloud);

}  // namespace retouchd::cloud
