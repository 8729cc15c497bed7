#pragma once

#include <span>
#include <string>

namespace retouchd::image {

/// MD5 (RFC 1321) in 32 upper-case digits: the name that JPEG gives to the extended part of an XMP. Nothing relies on it for
/// safety. Empty where OpenSSL was told to refuse it. The first call reads OpenSSL's configuration.
[[nodiscard]] std::string md5_hex(std::span<const unsigned char> data);

}  // namespace retouchd::image
