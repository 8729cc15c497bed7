#include "stages/decode.h"

#include <spdlog/spdlog.h>

#include "image/codec.h"
#include "stages/companion.h"
#include "stages/memory_estimate.h"
#include "stages/planner.h"

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

/// The whole factor by which `large` is larger than `small` along both sides; 0: there is none.
int factor_between(cv::Size small, cv::Size large) {
  const int factor = large.width / std::max(1, small.width);
  return small * factor == large ? factor : 0;
}

}  // namespace

Result<void> Decode::read_source(PictureRun& run, const Settings& settings) {
  const std::filesystem::path& source = run.job.request.source;
  const auto file = read_file(source, settings.file_size, &run.identity);
  if (!file) return file.error();
  auto picture = image::decode(*file, settings.limits);
  if (!picture) return naming(picture.error(), source);
  if (!picture->metadata_warning.empty()) spdlog::warn("job {}: {}", run.job.id, picture->metadata_warning);
  run.picture = *std::move(picture);
  return {};
}

Result<void> Decode::take_returned(PictureRun& run, const Settings& settings) {
  const std::filesystem::path& returned = run.job.returned;
  const auto original = probe(run.job.request.source, settings);
  if (!original) return naming(original.error(), run.job.request.source);
  const auto header = probe(returned, settings);
  if (!header) return naming(header.error(), returned);
  inference::NetworkInfo sizes = run.network;  // the node's network may enlarge by another factor
  sizes.scale = static_cast<int>(std::max(1U, header->header.width / std::max(1U, original->header.width)));
  auto reserved = memory_.reserve(std::min(estimate_memory(original->header, original->file, sizes), memory_.capacity()));
  if (!reserved) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  run.memory = std::move(*reserved);

  if (auto read = read_source(run, settings); !read) return read;
  const auto file = read_file(returned, Bytes{header->file.value + 1});
  if (!file) return file.error();
  auto picture = image::decode(*file, settings.limits);
  if (!picture) return naming(picture.error(), returned);
  const int factor = factor_between(run.picture.colour.size(), picture->colour.size());
  if (factor < 1 || picture->colour.type() != run.picture.colour.type()) {
    return make_error(ErrorCode::kCloudFailed, returned.string() + " is not of its original's size and type");
  }
  run.picture.colour = picture->colour;
  run.is_returned = true;
  return {};
}

Result<void> Decode::process(const RunPtr& run) {
  const auto settings = settings_.get();
  const std::filesystem::path& source = run->job.request.source;
  if (!run->job.decision.empty()) {
    if (auto decision = queue::decision_from_text(run->job.decision)) run->decision = *std::move(decision);
  }

  auto network = networks_.find(run->job.request.network);
  if (!network) return network.error();
  run->network = *std::move(network);

  if (run->network.companion != inference::Companion::kNone && run->job.request.spooled) {
    return make_error(ErrorCode::kInvalidRequest, "the network " + run->network.name + " restores pairs of files; " +
                                                      run->job.request.name + " came as bytes, alone: submit it by path");
  }

  if (!run->job.returned.empty()) {
    const auto taken = take_returned(*run, *settings);
    if (taken || taken.error().code == ErrorCode::kBusy) return taken;
    spdlog::warn("job {} is restored here: what the node sent back cannot be used: {}", run->job.id, taken.error().message);
    run->memory = {};
    run->decision.reason.clear();  // why it was sent away is beside the point now
    queue::fall_back(run->decision, queue::Route::kLocal, "bad_answer",
                     "what the node sent back cannot be used: " + taken.error().message);
    if (auto recorded = store_.record_decision(run->claim(), queue::to_text(run->decision)); !recorded) return recorded;
  }

  run->computed_as = devices_.computed_as(run->network);
  const auto cost = devices_.prepare(run->network);
  if (!cost) return cost.error();

  const auto probed = probe(source, *settings);
  if (!probed) return naming(probed.error(), source);
  Bytes needed = estimate_memory(probed->header, probed->file, run->network);
  if (!memory_.fits(needed)) {
    return make_error(ErrorCode::kOverMemoryBudget, source.string() + " (" + std::to_string(probed->header.width) + "x" +
                                                        std::to_string(probed->header.height) + ") needs " + to_string(needed) +
                                                        ", but the memory budget leaves " + to_string(memory_.capacity()) +
                                                        " for pictures");
  }
  const auto on_device = devices_.memory();
  PlanFacts facts = devices_.facts(run->network);
  facts.mode = settings->mode;
  facts.largest_tile = options_.largest_tile;
  facts.memory = on_device.value_or(memory_.capacity() - needed + options_.for_batch);
  facts.cost = *cost;
  const cv::Size stored(static_cast<int>(probed->header.width), static_cast<int>(probed->header.height));
  const PicturePlan plan = plan_picture(stored, run->network, facts);
  // Tensors of a CPU come from the same budget. Batches of the default network have their share for good; another network, or a
  // single pass, may need more.
  const Bytes on_host =
      plan.is_single_pass && !on_device ? *plan.memory : devices_.host_memory(run->network, plan.tiles.tile, *cost);
  if (on_host > Bytes{0}) {
    needed += Bytes{run->network.parameters * sizeof(float)} + on_host - options_.for_batch;
    needed = std::min(needed, memory_.capacity());  // plans keep within it, but for the smallest tiles there are
  }
  auto reserved = memory_.reserve(needed);
  if (!reserved) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  run->memory = std::move(*reserved);

  if (auto read = read_source(*run, *settings); !read) return read;
  if (run->network.companion != inference::Companion::kNone) {
    auto companion = read_companion(source, run->picture, run->network.companion, settings->limits, settings->file_size);
    if (!companion) return companion.error();
    run->companion = companion->picture.colour;
    run->companion_identity = companion->identity;
    if (run->network.companion == inference::Companion::kDepth) {  // the result is depth: nothing but shape is the photograph's
      run->picture.alpha.release();
      run->picture.format = companion->picture.format;
      run->picture.metadata = companion->picture.metadata;
      run->picture.metadata_warning = companion->picture.metadata_warning;
    }
  }
  run->plan = plan_picture(run->picture.colour.size(), run->network, facts);  // upright now
  return {};
}

}  // namespace retouchd::stages
