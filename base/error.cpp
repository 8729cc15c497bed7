#include "base/error.h"

#include <algorithm>
#include <array>

namespace retouchd {
namespace {

constexpr std::array kTable{
    ErrorTraits{ErrorCode::kInvalidRequest, "invalid_request", false, 2,
                "Correct the request; docs/protocol.md lists every field."},
    ErrorTraits{ErrorCode::kBadConfig, "bad_config", false, 2, "Correct the file and check it with `retouchd --check-config`."},
    ErrorTraits{ErrorCode::kInputMissing, "input_missing", false, 3,
                "Check the path; the daemon resolves it on its own machine."},
    ErrorTraits{ErrorCode::kInputUnreadable, "input_unreadable", false, 3,
                "Give the user that runs retouchd read access to the file and its folders."},
    ErrorTraits{ErrorCode::kInputEmpty, "input_empty", false, 3, "Copy the file again; it holds no data."},
    ErrorTraits{ErrorCode::kInputChanged, "input_changed", true, 3,
                "Leave the file alone while it is restored; it is tried again."},
    ErrorTraits{ErrorCode::kUnsupportedFormat, "unsupported_format", false, 1, "Convert it to a format that is read (docs/formats.md), such as PNG or TIFF."},
    ErrorTraits{ErrorCode::kCorruptPicture, "corrupt_picture", false, 1,
                "Copy the file again from its source, or open and re-save it in an editor."},
    ErrorTraits{ErrorCode::kDecoderCrashed, "decoder_crashed", false, 1,
                "Open and re-save the picture in an editor; the daemon and other pictures are unharmed."},
    ErrorTraits{ErrorCode::kTruncatedPicture, "truncated_picture", false, 1, "Copy the file again; its end is missing."},
    ErrorTraits{ErrorCode::kPictureTooLarge, "picture_too_large", false, 1,
                "Raise the limit in `limits:` if this picture is genuine, or scale it down."},
    ErrorTraits{ErrorCode::kOverMemoryBudget, "over_memory_budget", false, 1,
                "Raise `memory:` in the configuration, or scale the picture down."},
    ErrorTraits{ErrorCode::kOutputDenied, "output_denied", false, 1,
                "Give the user that runs retouchd write access to the output folder."},
    ErrorTraits{ErrorCode::kOutputExists, "output_exists", false, 1,
                "Choose another output path, or pass --overwrite (`\"overwrite\": true`)."},
    ErrorTraits{ErrorCode::kDiskFull, "disk_full", true, 1, "Free some space; the job waits and goes on by itself."},
    ErrorTraits{ErrorCode::kIoError, "io_error", true, 1, "Check the disk or network share (dmesg, journalctl -k)."},
    ErrorTraits{ErrorCode::kUnknownNetwork, "unknown_network", false, 5, "List what is there with `retouch models`."},
    ErrorTraits{ErrorCode::kBadWeights, "bad_weights", false, 5,
                "Replace the weight file, or choose another network with `network:`."},
    ErrorTraits{ErrorCode::kDeviceFailed, "device_failed", true, 5, "Look at the log; `device: cpu` runs without a GPU."},
    ErrorTraits{ErrorCode::kOutOfDeviceMemory, "out_of_device_memory", true, 5,
                "Free memory on the device, or make tile.size or tile.batch smaller."},
    ErrorTraits{ErrorCode::kDeadlinePassed, "deadline_passed", false, 7,
                "Submit it again with a later deadline, or a higher priority."},
    ErrorTraits{ErrorCode::kUnknownJob, "unknown_job", false, 2,
                "List the known jobs with `retouch list`; finished ones are kept for `retention.done`."},
    ErrorTraits{ErrorCode::kConflict, "conflict", false, 2, "Use a new key for a different request."},
    ErrorTraits{ErrorCode::kBusy, "busy", true, 75, "Try again after the time given."},
    ErrorTraits{ErrorCode::kCancelled, "cancelled", false, 6, "Submit it again if that was not intended."},
    ErrorTraits{ErrorCode::kTimeout, "timeout", false, 7, "The job goes on; ask for it with `retouch status`."},
    ErrorTraits{ErrorCode::kUnreachable, "daemon_unreachable", false, 4, "Start retouchd, or name its socket with --connect."},
    ErrorTraits{ErrorCode::kCloudFailed, "cloud_failed", true, 1, "Look at the log here and on the cloud node."},
    ErrorTraits{ErrorCode::kStoreFailed, "store_failed", true, 1, "Check free space and permissions of the state directory."},
    ErrorTraits{ErrorCode::kCrashedDaemon, "crashed_daemon", false, 1,
                "Please report this picture; the daemon died on it repeatedly."},
    ErrorTraits{ErrorCode::kInternal, "internal", false, 1, "This is a bug in retouchd; please report it with the log."},
};

}  // namespace

const ErrorTraits& traits_of(ErrorCode code) noexcept {
  const auto* found = std::find_if(kTable.begin(), kTable.end(), [code](const ErrorTraits& t) { return t.code == code; });
  return found != kTable.end() ? *found : kTable.back();
}

ErrorCode error_code_from_name(std::string_view name) noexcept {
  const auto* found = std::find_if(kTable.begin(), kTable.end(), [name](const ErrorTraits& t) { return t.name == name; });
  return found != kTable.end() ? found->code : ErrorCode::kInternal;
}

}  // namespace retouchd
