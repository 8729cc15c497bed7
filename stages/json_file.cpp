#include "stages/json_file.h"

#include "base/file.h"

namespace retouchd::stages {

Result<nlohmann::json> read_json_object(const std::filesystem::path& file) {
  constexpr Bytes kMost = mebibytes(1);
  const auto content = read_file(file, kMost);
  if (!content) {
    if (content.error().code == ErrorCode::kInputMissing) return content.error();
    return make_error(ErrorCode::kBadConfig, content.error().message);
  }
  auto json = nlohmann::json::parse(*content, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return make_error(ErrorCode::kBadConfig, "it is no JSON object");
  return json;
}

}  // namespace retouchd::stages
