#pragma once

#include <vector>
#include <zmq.hpp>

namespace retouchd::intake {

using ZmqFrames = std::vector<zmq::message_t>;

/// A request has a client, a delimiter, JSON, and content; one more frame shows that there are too many.
inline constexpr std::size_t kMostFrames = 5;

/// One message, or nothing when none waits. Of a message with too many frames only the first kMostFrames are kept.
[[nodiscard]] inline ZmqFrames receive_frames(zmq::socket_t& socket) {
  ZmqFrames frames;
  bool more = true;
  while (more) {
    zmq::message_t frame;
    if (!socket.recv(frame, zmq::recv_flags::dontwait)) return {};
    more = frame.more();
    if (frames.size() < kMostFrames) frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace retouchd::intake
