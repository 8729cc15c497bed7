#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "image/codec.h"

namespace retouchd::sandbox {

/// What a worker runs on the bytes it is given; tests put functions here that misbehave.
struct Codec {
  /// Loads all that can only be loaded from files. Runs before the process locks itself in.
  void (*prepare)();
  Result<image::PictureHeader> (*read_header)(std::span<const std::uint8_t> file, const image::DecodeLimits& limits);
  Result<image::Picture> (*decode)(std::span<const std::uint8_t> file, const image::DecodeLimits& limits,
                                   image::PlaneMemory& memory);
  Result<void> (*encode)(const image::Picture& picture, image::FileFormat format, const image::EncodeOptions& options,
                         image::OutputFile& file, std::string* warning);
};

/// The whole life of a worker: prepares, locks the process in (jail.h), says Hello, then answers one request after the other
/// until the other end of kSocket closes. Returns the exit status. Called once, by main(), before there are threads.
int serve(const Codec& codec);

}  // namespace retouchd::sandbox
