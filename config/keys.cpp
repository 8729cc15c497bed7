#include "config/keys.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "config/key_builder.h"

namespace retouchd::config {
namespace {

using namespace std::chrono_literals;

Value<std::int64_t> count_or_auto(std::int64_t most) { return or_auto<std::int64_t>(whole_number(0, most), 0); }

std::vector<Key<Config>> make_config_keys() {
  return {
      top(
          "state_dir", kRestart, [](auto& c) -> auto& { return c.state_dir; }, or_auto<std::filesystem::path>(folder(), {}),
          "Folder of the job store, the spool and the previews; it must be on a local disk.",
          "$STATE_DIRECTORY, else $XDG_STATE_HOME/retouchd, else ~/.local/state/retouchd"),
      top(
          "runtime_dir", kRestart, [](auto& c) -> auto& { return c.runtime_dir; }, or_auto<std::filesystem::path>(folder(), {}),
          "Folder of the sockets.", "$RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR/retouchd, else <state_dir>/run"),
      make_list_key(
          "model_dirs", kRestart, [](auto& c) -> auto& { return c.model_dirs; }, folder(), 0, 100,
          "Folders searched for weights before the installed one; the first match wins."),
      top(
          "memory", kRestart, [](auto& c) -> auto& { return c.memory; },
          or_auto<Bytes>(size(mebibytes(64), gibibytes(1024 * 64)), Bytes{0}),
          "Budget of the whole process: pictures, tiles and networks; work that does not fit waits.",
          "half of the machine's (or control group's) memory, at least 256MiB"),
      top(
          "network", kReload, [](auto& c) -> auto& { return c.network; }, network_name(),
          "The neural network that restores, unless a watch or a request names another."),
      top(
          "device", kRestart, [](auto& c) -> auto& { return c.device; }, device_names(),
          "Where the networks run; auto and cuda take all GPUs, auto the CPU where there is none; whatever is named must be "
          "there. "
          "Several devices share the work as fast as each can; http is a model server (docs/networks.md)."),
      top(
          "simulation", kRestart, [](auto& c) -> auto& { return c.simulation; },
          or_auto<std::string>(text(500, "settings such as rate=500 copy=1ms fault=oom@3"), {}),
          "How simulated devices behave, which restore nothing: for benchmarks and for rehearsing alarms.",
          "500 tiles of 512x512 a second"),
      top(
          "deterministic", kRestart, [](auto& c) -> auto& { return c.deterministic; }, yes_or_no(),
          "Whether a picture's result is the same, bit for bit, whatever else is restored at the same time; batches then always "
          "have their full size, and a lone tile has one CPU thread."),
      top(
          "precision", kRestart, [](auto& c) -> auto& { return c.precision; },
          choice<Config::Precision>({{"auto", Config::Precision::kAuto},
                                     {"fp32", Config::Precision::kFp32},
                                     {"tf32", Config::Precision::kTf32},
                                     {"fp16", Config::Precision::kFp16},
                                     {"bf16", Config::Precision::kBf16},
                                     {"mixed", Config::Precision::kMixed},
                                     {"int8", Config::Precision::kInt8}}),
          "How networks compute; what device or network cannot do is replaced by the nearest that they can, with a warning. "
          "Whatever it is must agree with fp32, which is checked when a network is loaded."),
      top(
          "optimize", kRestart, [](auto& c) -> auto& { return c.optimize; }, yes_or_no(),
          "Whether networks take the optimised path; the plain one computes operation by operation as published, in fp32."),
      top(
          "backend", kRestart, [](auto& c) -> auto& { return c.backend; },
          choice<Config::Backend>({{"auto", Config::Backend::kAuto},
                                   {"optimized", Config::Backend::kOptimized},
                                   {"compiled", Config::Backend::kCompiled},
                                   {"fused", Config::Backend::kFused}}),
          "Who computes networks: the optimised path through LibTorch, packages that `retouch compile` made, or CUDA kernels of "
          "our own. auto takes a package where a short trial at start shows that it is faster, and never fused, which has not "
          "been measured yet."),
      top(
          "cuda_graphs", kRestart, [](auto& c) -> auto& { return c.cuda_graphs; }, yes_or_no(),
          "Whether forward passes on NVIDIA GPUs are recorded once for each shape of a batch and then replayed, which spares "
          "the time of starting kernel after kernel and takes memory for each shape. Not measured yet."),
      top(
          "mode", kReload, [](auto& c) -> auto& { return c.mode; },
          choice<Config::Mode>(
              {{"auto", Config::Mode::kAuto}, {"tiled", Config::Mode::kTiled}, {"single_pass", Config::Mode::kSinglePass}}),
          "Whether a picture goes through the network in tiles or in one piece; one piece needs much more memory, and what does "
          "not fit goes in tiles. `retouch plan` shows what auto decides."),
      top(
          "attention", kReload, [](auto& c) -> auto& { return c.attention; },
          choice<Config::Attention>({{"global", Config::Attention::kGlobal}, {"local", Config::Attention::kLocal}}),
          "Whether Restormer weighs all that it sees, as published, or windows of 384 pixels, as it was trained; a network's "
          "manifest may say otherwise."),
      top(
          "drain_timeout", kReload, [](auto& c) -> auto& { return c.drain_timeout; }, duration(0s, 1h),
          "How long a stop waits for running jobs; what is unfinished then goes on after the next start. Keep the unit's "
          "TimeoutStopSec above it."),
      top(
          "role", kRestart, [](auto& c) -> auto& { return c.role; },
          choice<Config::Role>({{"edge", Config::Role::kEdge}, {"cloud", Config::Role::kCloud}}),
          "Whether this daemon also restores pictures for other daemons, which reach it at `serve.listen`."),

      top(
          "zmq.enabled", kRestart, [](auto& c) -> auto& { return c.zmq.enabled; }, yes_or_no(),
          "Whether requests are taken over ZeroMQ; `retouch` needs it."),
      top(
          "zmq.requests", kRestart, [](auto& c) -> auto& { return c.zmq.requests; }, or_auto<std::string>(zmq_endpoint(), {}),
          "Where requests are taken (ROUTER).", "ipc://<runtime_dir>/requests.sock"),
      top(
          "zmq.events", kRestart, [](auto& c) -> auto& { return c.zmq.events; }, or_auto<std::string>(zmq_endpoint(), {}),
          "Where events are published (PUB).", "ipc://<runtime_dir>/events.sock"),
      top(
          "zmq.mode", kRestart, [](auto& c) -> auto& { return c.zmq.mode; }, permissions(),
          "Permissions of the ipc sockets: who may write to them may submit and cancel jobs."),
      top(
          "zmq.max_message", kRestart, [](auto& c) -> auto& { return c.zmq.max_message; }, size(mebibytes(1), gibibytes(1)),
          "Largest message taken; larger pictures are submitted by their path."),

      top(
          "http.enabled", kRestart, [](auto& c) -> auto& { return c.http.enabled; }, yes_or_no(),
          "Whether /metrics, /healthz and /readyz are served."),
      top(
          "http.listen", kRestart, [](auto& c) -> auto& { return c.http.listen; }, loopback_address(),
          "Address and port of the HTTP server; port 0 takes any free one."),

      top(
          "tile.size", kRestart, [](auto& c) -> auto& { return c.tile.size; }, whole_number(128, 2048, 8),
          "A tile has at most this many pixels squared, whatever its shape; smaller tiles need less memory and repeat more work "
          "at "
          "their borders."),
      top(
          "tile.batch", kRestart, [](auto& c) -> auto& { return c.tile.batch; }, count_or_auto(1024),
          "Most tiles in one batch; a CPU, which computes tile by tile, gains nothing from more than one.",
          "chosen for the device (0 says the same)"),
      top(
          "tile.max_wait", kRestart, [](auto& c) -> auto& { return c.tile.max_wait; }, duration(0ms, 10s),
          "How long an idle device waits for more tiles to fill its batch."),

      top(
          "resume.longer_than", kReload, [](auto& c) -> auto& { return c.resume.longer_than; }, duration(0s, 24h),
          "Pictures that keep the device busy for longer than this, by its measurements, keep finished tiles in `state_dir`, and "
          "go "
          "on from there after a crash."),

      top(
          "preview.enabled", kReload, [](auto& c) -> auto& { return c.preview.enabled; }, yes_or_no(),
          "Whether a quick preview is written before the full pass."),
      top(
          "preview.megapixels", kReload, [](auto& c) -> auto& { return c.preview.megapixels; }, number(0.05, 10),
          "Size of the preview in megapixels; smaller pictures keep their size."),
      top(
          "preview.quality", kReload, [](auto& c) -> auto& { return c.preview.quality; }, whole_number(1, 100),
          "JPEG quality of the preview."),

      top(
          "input.pages", kReload, [](auto& c) -> auto& { return c.input.pages; },
          choice<Input::Pages>({{"first", Input::Pages::kFirst}, {"all", Input::Pages::kAll}}),
          "Which pages of a TIFF are restored. The result has as many; the rest is left out with a warning."),
      top(
          "input.colours", kReload, [](auto& c) -> auto& { return c.input.colours; },
          choice<Input::Colours>({{"file", Input::Colours::kFile}, {"srgb", Input::Colours::kSrgb}}),
          "The colours that networks see: those of the file's own space, or sRGB, for networks that are particular about it. "
          "Results are in the file's space in both cases."),

      top(
          "output.format", kReload, [](auto& c) -> auto& { return c.output.format; },
          choice<Output::Format>({{"same", Output::Format::kSame},
                                  {"jpeg", Output::Format::kJpeg},
                                  {"png", Output::Format::kPng},
                                  {"tiff", Output::Format::kTiff},
                                  {"webp", Output::Format::kWebp},
                                  {"avif", Output::Format::kAvif},
                                  {"jxl", Output::Format::kJxl}}),
          "Format of results in watched folders and of those submitted without a name for the result; `same` is that of the "
          "original. Where it cannot hold a picture (alpha or 16 bits in a JPEG), PNG or TIFF takes its place."),
      top(
          "output.jpeg_quality", kReload, [](auto& c) -> auto& { return c.output.jpeg_quality; }, whole_number(1, 100),
          "Quality of JPEG results."),
      top(
          "output.png_level", kReload, [](auto& c) -> auto& { return c.output.png_level; }, whole_number(0, 9),
          "Compression of PNG results: 0 is fast, 9 is small, and all look the same."),
      top(
          "output.webp_quality", kReload, [](auto& c) -> auto& { return c.output.webp_quality; }, whole_number(1, 100),
          "Quality of WebP results."),
      top(
          "output.avif_quality", kReload, [](auto& c) -> auto& { return c.output.avif_quality; }, whole_number(1, 100),
          "Quality of AVIF results; 100 is lossless."),
      top(
          "output.avif_speed", kReload, [](auto& c) -> auto& { return c.output.avif_speed; }, whole_number(0, 10),
          "Speed of the AVIF encoder: 0 is slow and small, 10 is fast."),
      top(
          "output.jxl_quality", kReload, [](auto& c) -> auto& { return c.output.jxl_quality; }, whole_number(1, 100),
          "Quality of JPEG XL results; 100 is lossless."),
      top(
          "output.jxl_effort", kReload, [](auto& c) -> auto& { return c.output.jxl_effort; }, whole_number(1, 9),
          "Effort of the JPEG XL encoder: 1 is fast, 9 is small."),
      top(
          "output.tiff_compression", kReload, [](auto& c) -> auto& { return c.output.tiff_compression; },
          choice<Output::TiffCompression>({{"none", Output::TiffCompression::kNone},
                                           {"lzw", Output::TiffCompression::kLzw},
                                           {"deflate", Output::TiffCompression::kDeflate}}),
          "Compression of TIFF results; all are lossless."),
      top(
          "output.metadata", kReload, [](auto& c) -> auto& { return c.output.metadata; },
          choice<Output::Metadata>({{"keep", Output::Metadata::kKeep}, {"strip", Output::Metadata::kStrip}}),
          "Whether results carry the EXIF, XMP and IPTC data of their originals."),
      top(
          "output.provenance", kReload, [](auto& c) -> auto& { return c.output.provenance; }, yes_or_no(),
          "Whether results say in their XMP what was done to them: network, weights, precision, tiles, score, route."),
      top(
          "output.file_time", kReload, [](auto& c) -> auto& { return c.output.file_time; },
          choice<Output::FileTime>({{"now", Output::FileTime::kNow}, {"source", Output::FileTime::kSource}}),
          "Modification time of results: when they were written, or that of the original."),

      top(
          "sandbox.enabled", kRestart, [](auto& c) -> auto& { return c.sandbox.enabled; }, yes_or_no(),
          "Whether pictures are read and written by separate processes without rights (docs/operating.md). Without them a file "
          "that is made to crash a decoder stops the daemon."),
      top(
          "sandbox.timeout", kRestart, [](auto& c) -> auto& { return c.sandbox.timeout; }, duration(1s, 24h),
          "A picture that is read or written for longer than this, plus a second for each megapixel, has failed."),

      top(
          "limits.megapixels", kReload, [](auto& c) -> auto& { return c.limits.megapixels; }, number(0.01, 2000),
          "Pictures of more megapixels are refused, before memory is spent on them."),
      top(
          "limits.side", kReload, [](auto& c) -> auto& { return c.limits.side; }, whole_number(16, 65'535),
          "Pictures with a longer side, in pixels, are refused."),
      top(
          "limits.frames", kReload, [](auto& c) -> auto& { return c.limits.frames; }, whole_number(1, 1'000'000),
          "Files with more pages, or more pictures of an animation, are refused."),
      top(
          "limits.jpeg_scans", kReload, [](auto& c) -> auto& { return c.limits.jpeg_scans; }, whole_number(1, 10'000),
          "Progressive JPEGs with more scans are refused: each costs the time of a whole picture."),
      top(
          "limits.metadata", kReload, [](auto& c) -> auto& { return c.limits.metadata; }, size(kibibytes(64), gibibytes(1)),
          "Larger blocks of EXIF, XMP, IPTC or ICC are not kept; the picture is, with a warning."),
      top(
          "limits.file_size", kReload, [](auto& c) -> auto& { return c.limits.file_size; }, size(kibibytes(1), gibibytes(16)),
          "Larger picture files are refused."),
      top(
          "limits.weights", kReload, [](auto& c) -> auto& { return c.limits.weights; }, size(mebibytes(1), gibibytes(64)),
          "Larger weight files are refused."),
      top(
          "limits.queued_jobs", kReload, [](auto& c) -> auto& { return c.limits.queued_jobs; }, whole_number(1, 100'000'000),
          "With so many jobs queued, more are answered with busy and files in watched folders wait."),

      top(
          "retry.attempts", kReload, [](auto& c) -> auto& { return c.retry.attempts; }, whole_number(1, 100),
          "How often a job is tried when the failure may pass (I/O error, device lost); waiting for disk space does not count."),
      make_list_key(
          "retry.backoff", kReload, [](auto& c) -> auto& { return c.retry.backoff; }, duration(0s, 24h), 1, 20,
          "Waits before the second, third, ... attempt; the last one repeats."),

      top(
          "workers.decode", kRestart, [](auto& c) -> auto& { return c.workers.decode; }, count_or_auto(256),
          "Threads that read pictures.", "by the number of cores (0 says the same)"),
      top(
          "workers.encode", kRestart, [](auto& c) -> auto& { return c.workers.encode; }, count_or_auto(256),
          "Threads that write results.", "by the number of cores (0 says the same)"),
      top(
          "workers.infer", kRestart, [](auto& c) -> auto& { return c.workers.infer; }, count_or_auto(1024),
          "Threads of the network on the CPU.", "one per core (0 says the same)"),

      top(
          "retention.done", kReload, [](auto& c) -> auto& { return c.retention.done; }, duration(1h, 24h * 36'500),
          "How long finished and cancelled jobs stay listed, and how long previews and the results of pictures that were "
          "submitted as bytes "
          "stay in `state_dir`. Results in folders are never deleted."),
      top(
          "retention.failed", kReload, [](auto& c) -> auto& { return c.retention.failed; }, duration(1h, 24h * 36'500),
          "How long failed jobs stay listed and can be retried."),

      top(
          "log.level", kReload, [](auto& c) -> auto& { return c.log.level; },
          choice<Log::Level>({{"debug", Log::Level::kDebug},
                              {"info", Log::Level::kInfo},
                              {"warning", Log::Level::kWarning},
                              {"error", Log::Level::kError}}),
          "What is logged: this and everything graver."),
  };
}

std::vector<Key<Watch>> make_watch_keys() {
  auto move_to = watched(
      "move_to", [](auto& w) -> auto& { return w.move_to; }, folder(),
      "With on_success: move, the folder that receives the originals.", "/srv/photos/originals", "nowhere");
  return {
      watched(
          "name", [](auto& w) -> auto& { return w.name; }, text(64, "a name"), "Names the watch in logs and metrics; unique.",
          "scans", "the last part of `path`"),
      required(watched(
          "path", [](auto& w) -> auto& { return w.path; }, folder(),
          "The folder to watch; while it does not exist, the watch waits.", "/srv/photos/scans")),
      required(watched(
          "output", [](auto& w) -> auto& { return w.output; }, folder(),
          "The folder that receives the results, with the same subfolders; outside of every watched folder.",
          "/srv/photos/restored")),
      watched("recursive", [](auto& w) -> auto& { return w.recursive; }, yes_or_no(), "Whether subfolders are watched too.", {}),
      watched("settle", [](auto& w) -> auto& { return w.settle; }, duration(0ms, 1h),
              "A file is taken when it has not changed for so long after it was closed or moved in.", {}),
      watched("settle_unseen", [](auto& w) -> auto& { return w.settle_unseen; }, duration(0ms, 1h),
              "The same when nothing told that the file was closed: at start, and on network shares.", {}),
      watched("rescan", [](auto& w) -> auto& { return w.rescan; }, duration(1s, 24h),
              "How often the whole folder is read for what notifications missed.", {}),
      watched("on_success", [](auto& w) -> auto& { return w.on_success; },
              choice<Watch::OnSuccess>(
                  {{"keep", Watch::OnSuccess::kKeep}, {"move", Watch::OnSuccess::kMove}, {"delete", Watch::OnSuccess::kDelete}}),
              "What becomes of the original once its result is on disk.", {}),
      move_to,
      watched(
          "network", [](auto& w) -> auto& { return w.network; }, network_name(), "The network for this folder.", "student-tiny",
          "the top-level `network`"),
      watched("priority", [](auto& w) -> auto& { return w.priority; }, whole_number(-1000, 1000), "Higher goes first.", {}),
      watched(
          "policy", [](auto& w) -> auto& { return w.policy; }, or_auto<std::string>(policy_name(), {}),
          "Who makes the full pass for this folder.", {}, "as `cascade.policy`"),
      watched("skip_good", [](auto& w) -> auto& { return w.skip_good; },
              choice<Watch::SkipGood>(
                  {{"auto", Watch::SkipGood::kAuto}, {"true", Watch::SkipGood::kYes}, {"false", Watch::SkipGood::kNo}}),
              "Whether good pictures of this folder are passed on as they are; auto: as `cascade.skip_good`.", {}),
  };
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 19> kSections{{
    {"watch", "Watched folders: pictures that appear in `path` are restored into `output`."},
    {"zmq", "Requests and events over ZeroMQ (docs/protocol.md)."},
    {"http", "Metrics and health over HTTP, for this machine only."},
    {"tile", "How pictures are cut for the network."},
    {"resume", "Long pictures go on where a crash left them."},
    {"preview", "The quick preview."},
    {"cascade", "Which pictures are left alone, restored here, or sent to a larger node (docs/cascade.md)."},
    {"cloud", "The node that pictures are escalated to."},
    {"serve", "With `role: cloud`: what other daemons find here."},
    {"callbacks", "Events told over HTTP."},
    {"hooks", "Commands that are run when something happened to a job."},
    {"input", "How pictures are read."},
    {"output", "How results are written."},
    {"sandbox", "Processes of their own read and write picture files."},
    {"limits", "What is refused, so that one picture or client cannot exhaust the machine."},
    {"retry", "Failures that may pass."},
    {"workers", "Threads."},
    {"retention", "How long the job store remembers."},
    {"log", "The log, on standard error or in the journal."},
}};

}  // namespace

const std::vector<Key<Config>>& config_keys() {
  static const std::vector<Key<Config>> keys = [] {
    std::vector<Key<Config>> all = make_config_keys();
    std::vector<Key<Config>> remote = make_remote_keys();
    const auto output = std::find_if(all.begin(), all.end(), [](const auto& key) { return key.path.starts_with("output."); });
    all.insert(output, std::make_move_iterator(remote.begin()), std::make_move_iterator(remote.end()));
    return all;
  }();
  return keys;
}

const std::vector<Key<Watch>>& watch_keys() {
  static const std::vector<Key<Watch>> keys = make_watch_keys();
  return keys;
}

std::string_view section_doc(std::string_view section) {
  for (const auto& [name, doc] : kSections) {
    if (name == section) return doc;
  }
  return {};
}

}  // namespace retouchd::config
