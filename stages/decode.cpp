#include "stages/decode.h"

#include <spdlog/spdlog.h>

#include "image/codec.h"
#include "stages/memory_estimate.h"

namespace retouchd::stages {
namespace {

/// Enough for nearly every header; what a picture needs is known before the rest of its file is in memory.
constexpr Bytes kHeaderPrefix = mebibytes(1);

struct Probe {
  image::PictureHeader header;
  Bytes file;
};

Result<Probe> probe(const std::filesystem::path& source, const Settings& settings) {
  FileIdentity identity;
  auto prefix = read_file_prefix(source, kHeaderPrefix, &identity);
  if (!prefix) return prefix.error();
  if (identity.size > settings.file_size.value) {
    return make_error(ErrorCode::kPictureTooLarge, source.string() + " has " + to_string(Bytes{identity.size}) +
                                                       ", the limit (limits.file_size) is " + to_string(settings.file_size));
  }
  auto header = image::read_header(*prefix, settings.limits);
  if (!header && header.error().code != ErrorCode::kPictureTooLarge && identity.size > prefix->size()) {
    // TIFF may keep its directory at the end of the file, JPEG may have long metadata first.
    auto whole = read_file(source, settings.file_size);
    if (!whole) return whole.error();
    header = image::read_header(*whole, settings.limits);
  }
  if (!header) return header.error();
  return Probe{*header, Bytes{identity.size}};
}

/// Errors of the codecs speak of the data; users think in files.
Error naming(Error error, const std::filesystem::path& source) {
  if (error.message.find(source.string()) == std::string::npos) error.message = source.string() + ": " + error.message;
  return error;
}

}  // namespace

Result<void> Decode::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const std::filesystem::path& source = run->job.request.source;

  auto network = networks_.find(run->job.request.network);
  if (!network) return network.error();
  run->network = *std::move(network);

  const auto probed = probe(source, *settings);
  if (!probed) return naming(probed.error(), source);
  const Bytes needed = estimate_memory(probed->header, probed->file, run->network);
  if (!memory_.fits(needed)) {
    return make_error(ErrorCode::kOverMemoryBudget, source.string() + " (" + std::to_string(probed->header.width) + "x" +
                                                        std::to_string(probed->header.height) + ") needs " + to_string(needed) +
                                                        ", but the memory budget leaves " + to_string(memory_.capacity()) +
                                                        " for pictures");
  }
  auto reserved = memory_.reserve(needed);
  if (!reserved) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  run->memory = std::move(*reserved);

  const auto file = read_file(source, settings->file_size, &run->identity);
  if (!file) return file.error();
  auto picture = image::decode(*file, settings->limits);
  if (!picture) return naming(picture.error(), source);
  if (!picture->metadata_warning.empty()) spdlog::warn("job {}: {}", run->job.id, picture->metadata_warning);
  run->picture = *std::move(picture);
  return {};
}

}  // namespace retouchd::stages
