#pragma once

#include <string>
#include <string_view>

namespace retouchd {

/// Everything that can go wrong and that a user can see. The table in error.cpp gives each code its
/// wire name, whether a retry can help, the exit code of `retouch`, and what the user can do about it.
enum class ErrorCode {
  kInvalidRequest,     ///< malformed message, missing or unknown field
  kBadConfig,          ///< configuration refused
  kInputMissing,       ///< no such file
  kInputUnreadable,    ///< no permission, or not a regular file
  kInputEmpty,         ///< zero bytes
  kInputChanged,       ///< the source changed while it was being restored
  kUnsupportedFormat,  ///< not a picture we read, whatever its suffix says
  kCorruptPicture,     ///< the decoder refused it
  kDecoderCrashed,     ///< the process that decoded it died of it, twice
  kTruncatedPicture,   ///< the file ends early (may still be being written)
  kPictureTooLarge,    ///< beyond limits.megapixels, limits.side or limits.file_size
  kOverMemoryBudget,   ///< would not fit the memory budget even alone
  kOutputDenied,       ///< cannot write there
  kOutputExists,       ///< a file that retouchd did not write stands there
  kDiskFull,           ///< no space or quota left; the job waits
  kIoError,            ///< read or write error below us
  kUnknownNetwork,     ///< no such network in the registry
  kBadWeights,         ///< weight file missing, malformed or not matching its network
  kDeviceFailed,       ///< inference device failed
  kOutOfDeviceMemory,  ///< a batch did not fit into the device's memory
  kDeadlinePassed,     ///< the job was not begun or not finished by its deadline
  kUnknownJob,         ///< no job with that id
  kConflict,           ///< same idempotency key, different request
  kBusy,               ///< queue full or draining; try again later
  kCancelled,          ///< cancelled by request
  kTimeout,            ///< a deadline passed
  kUnreachable,        ///< the daemon does not answer
  kCloudFailed,        ///< the cloud node could not restore it
  kStoreFailed,        ///< the job store could not be read or written
  kCrashedDaemon,      ///< the process died on this job too often
  kInternal,           ///< a bug: an unexpected exception
};

struct ErrorTraits {
  ErrorCode code;
  std::string_view name;    ///< stable wire name, e.g. "picture_too_large"
  bool transient;           ///< true: trying again later can help
  int exit_code;            ///< of `retouch` (docs/cli.md)
  std::string_view remedy;  ///< one sentence: what the user can do
};

[[nodiscard]] const ErrorTraits& traits_of(ErrorCode code) noexcept;

/// The code with that wire name; kInternal when there is none.
[[nodiscard]] ErrorCode error_code_from_name(std::string_view name) noexcept;

/// An expected failure: what happened, to what, and (through its code) what to do.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  ///< a sentence that names the file or key and the reason, without the remedy
  std::string stage;    ///< where: "decode", "encode", ...; empty before the pipeline

  [[nodiscard]] std::string_view name() const noexcept { return traits_of(code).name; }
  [[nodiscard]] std::string_view remedy() const noexcept { return traits_of(code).remedy; }
};

}  // namespace retouchd
