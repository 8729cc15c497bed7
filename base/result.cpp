#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace retouchd {

Error error_from_errno(int errno_value, const std::string& what, bool reading) {
  ErrorCode code = ErrorCode::kIoError;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      code = reading ? ErrorCode::kInputMissing : ErrorCode::kOutputDenied;
      break;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EISDIR:
    case EROFS:
    case ENAMETOOLONG:
      code = reading ? ErrorCode::kInputUnreadable : ErrorCode::kOutputDenied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::kDiskFull;
      break;
    case EEXIST:
      code = reading ? ErrorCode::kIoError : ErrorCode::kOutputExists;
      break;
    default:
      break;
  }
  return make_error(code, what + ": " + std::strerror(errno_value));
}

}  // namespace retouchd
