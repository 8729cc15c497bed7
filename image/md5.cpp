#include "image/md5.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

namespace retouchd::image {

std::string md5_hex(std::span<const unsigned char> data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_md5(), nullptr) != 1) return {};
  std::string text;
  for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02X}", digest[i]);
  return text;
}

}  // namespace retouchd::image
