#pragma once

#include <cstdint>
#include <string>
#include <zmq.hpp>

#include "base/result.h"

namespace retouchd::intake {

/// Binds `socket` to an ipc:// or tcp:// endpoint. For ipc the folder is made when missing, a socket that a dead daemon left is
/// replaced, and the new one gets `mode`. `key` is the configuration's name for it ("zmq.requests").
///
/// kBadConfig names key, endpoint and reason: another daemon answers there, a file that is no socket is in the way, no
/// permission.
[[nodiscard]] Result<void> bind_endpoint(zmq::socket_t& socket, const std::string& key, const std::string& endpoint,
                                         std::uint32_t mode);

/// Takes the file of a bound ipc:// endpoint away, which libzmq leaves behind; call it while the socket is still bound. A client
/// then sees at once that nobody is there.
void remove_endpoint(const std::string& endpoint) noexcept;

}  // namespace retouchd::intake
