#include "stages/decode.h"

#include <spdlog/spdlog.h>

#include <limits>

#include "image/alpha_channel.h"
#include "stages/companion.h"
#include "stages/encode.h"
#include "stages/memory_estimate.h"
#include "stages/planner.h"

namespace retouchd::stages {
namespace {

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

Result<Decode::Probed> Decode::probe(const std::filesystem::path& path, Bytes file_limit, const image::DecodeLimits& limits) {
  auto file = open_input(path, file_limit);
  if (!file) return file.error();
  auto header = codec_.read_header(*file, limits);
  if (!header) return naming(header.error(), path);
  return Probed{*std::move(file), *std::move(header)};
}

Result<image::Picture> Decode::read(const Probed& probed, const std::filesystem::path& path, const image::DecodeLimits& limits) {
  auto picture = codec_.decode(probed.file, probed.header, limits);
  if (!picture) return naming(picture.error(), path);
  return picture;
}

Result<void> Decode::read_source(PictureRun& run, const Probed& probed, const image::DecodeLimits& limits) {
  auto picture = read(probed, run.job.request.source, limits);
  if (!picture) return picture.error();
  run.identity = probed.file.identity;
  if (!picture->metadata_warning.empty()) spdlog::warn("job {}: {}", run.job.id, picture->metadata_warning);
  run.picture = *std::move(picture);
  return {};
}

Result<void> Decode::take_returned(PictureRun& run, const Settings& settings) {
  const std::filesystem::path& returned = run.job.returned;
  image::DecodeLimits limits = settings.limits;
  limits.all_pages = false;  // such pictures are never sent
  limits.space = image::WorkingSpace::kFile;
  const auto original = probe(run.job.request.source, settings.file_size, limits);
  if (!original) return original.error();
  const auto back =
      probe(returned, Bytes{std::numeric_limits<std::uint64_t>::max()}, limits);  // the account of escalation has bounded it
  if (!back) return back.error();
  inference::NetworkInfo sizes = run.network;  // the node's network may enlarge by another factor
  sizes.scale = static_cast<int>(std::max(1U, back->header.width / std::max(1U, original->header.width)));
  auto reserved = memory_.reserve(
      std::min(estimate_memory(original->header, sizes, Encode::format_named_by(run.job.request.output)), memory_.capacity()));
  if (!reserved) return make_error(ErrorCode::kBusy, "the daemon is stopping");
  run.memory = std::move(*reserved);

  if (auto source = read_source(run, *original, limits); !source) return source;
  auto picture = read(*back, returned, limits);
  if (!picture) return picture.error();
  const int factor = factor_between(run.picture.colour.size(), picture->colour.size());
  if (factor < 1 || picture->colour.type() != run.picture.colour.type()) {
    return make_error(ErrorCode::kCloudFailed, returned.string() + " is not of its original's size and type");
  }
  if (factor == 1) image::put_back_hidden_colours(run.picture.colour, run.picture.alpha, picture->colour);
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

  const auto cost = devices_.prepare(run->network);
  if (!cost) return cost.error();
  run->computed_as = devices_.computed_as(run->network);  // loading found the backend

  image::DecodeLimits limits = settings->limits;
  if (run->network.wants_srgb) limits.space = image::WorkingSpace::kExtendedSrgb;
  if (run->network.companion != inference::Companion::kNone) limits.all_pages = false;
  const auto probed = probe(source, settings->file_size, limits);
  if (!probed) return probed.error();
  Bytes needed = estimate_memory(probed->header, run->network, Encode::format_named_by(run->job.request.output));
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

  if (auto read = read_source(*run, *probed, limits); !read) return read;
  if (run->network.companion != inference::Companion::kNone) {
    auto companion = read_companion(codec_, source, run->picture, run->network.companion, limits, settings->file_size);
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
  for (const image::Picture& page : run->picture.pages) {
    run->page_plans.push_back(plan_picture(page.colour.size(), run->network, facts));
  }
  return {};
}

}  // namespace retouchd::stages
