// The keys about other machines and programs.
#include "config/key_builder.h"

namespace retouchd::config {

using namespace std::chrono_literals;

std::vector<Key<Config>> make_remote_keys() {
  return {
      top(
          "cascade.policy", kReload, [](auto& c) -> auto& { return c.cascade.policy; }, policy_name(),
          "Who makes the full pass: this machine; the cloud node, for pictures below the threshold; or this machine, in levels "
          "from the preview upwards until one is good enough."),
      top(
          "cascade.threshold", kReload, [](auto& c) -> auto& { return c.cascade.threshold; }, number(0, 1),
          "With hybrid: pictures whose score is lower are escalated; 0.9 is about `cascade.rate` of the pictures that "
          "`retouch calibrate` saw."),
      top(
          "cascade.rate", kReload, [](auto& c) -> auto& { return c.cascade.rate; }, number(0, 1),
          "The share of pictures that should be escalated; the metrics show how far the last ones are off."),
      top(
          "cascade.calibration", kReload, [](auto& c) -> auto& { return c.cascade.calibration; },
          or_auto<std::filesystem::path>(folder(), {}), "The file that `retouch calibrate` wrote.",
          "<state_dir>/calibration.json if that is there, else the built-in one"),
      top(
          "cascade.good_enough", kReload, [](auto& c) -> auto& { return c.cascade.good_enough; }, number(10, 100),
          "With progressive: a level is the last one when the detail that it lost is predicted to cost no more than this PSNR, "
          "in "
          "dB."),
      make_list_key(
          "cascade.levels", kReload, [](auto& c) -> auto& { return c.cascade.levels; }, number(0.05, 1000), 0, 8,
          "With progressive: megapixels of the levels between the preview and the full picture."),
      top(
          "cascade.skip_good", kReload, [](auto& c) -> auto& { return c.cascade.skip_good; }, yes_or_no(),
          "Whether pictures that restoration would hardly improve are passed on as they are, byte for byte."),
      top(
          "cascade.skip_share", kReload, [](auto& c) -> auto& { return c.cascade.skip_share; }, number(0, 1),
          "At most this share of the recent pictures is passed on like that."),

      top(
          "cloud.node", kRestart, [](auto& c) -> auto& { return c.cloud.node; }, or_word<std::string>("none", node_address(), {}),
          "Where pictures are escalated to: another retouchd (tcp) or a model server of the Open Inference Protocol (http).",
          "pictures are restored here"),
      top(
          "cloud.server_key", kRestart, [](auto& c) -> auto& { return c.cloud.server_key; },
          or_word<std::string>("none", curve_key(), {}), "The public key of that retouchd: `retouch keygen` printed it there."),
      top(
          "cloud.key", kRestart, [](auto& c) -> auto& { return c.cloud.key; }, or_auto<std::filesystem::path>(folder(), {}),
          "The file with this daemon's own keys, made by `retouch keygen`; nobody else may read it.", "<state_dir>/cloud.key"),
      top(
          "cloud.network", kRestart, [](auto& c) -> auto& { return c.cloud.network; }, or_auto<std::string>(network_name(), {}),
          "The network that the node uses.", "the job's"),
      top(
          "cloud.fallback", kReload, [](auto& c) -> auto& { return c.cloud.fallback; },
          choice<Cloud::Fallback>({{"local_full", Cloud::Fallback::kLocalFull},
                                   {"local_preview", Cloud::Fallback::kLocalPreview},
                                   {"queue", Cloud::Fallback::kQueue}}),
          "What becomes of pictures that should be escalated while the node is away or the budget is used up: the full pass "
          "here, "
          "the preview at full size, or waiting."),
      top(
          "cloud.escalations_per_hour", kReload, [](auto& c) -> auto& { return c.cloud.escalations_per_hour; },
          or_word<std::int64_t>("unlimited", whole_number(0, 1'000'000), 0),
          "At most so many pictures are escalated in an hour."),
      top(
          "cloud.bytes_per_hour", kReload, [](auto& c) -> auto& { return c.cloud.bytes_per_hour; },
          or_word<Bytes>("unlimited", size(Bytes{0}, gibibytes(1024 * 64)), Bytes{0}),
          "At most so many bytes are sent and received in an hour; a transfer that has begun is finished."),
      top(
          "cloud.parallel", kRestart, [](auto& c) -> auto& { return c.cloud.parallel; }, whole_number(1, 64),
          "Pictures that are on their way to the node, there, or on their way back at the same time."),
      top(
          "cloud.timeout", kReload, [](auto& c) -> auto& { return c.cloud.timeout; }, duration(1s, 24h),
          "A picture that is not back after this is restored as `cloud.fallback` says; with `queue` it is sent again."),
      top(
          "cloud.silence", kReload, [](auto& c) -> auto& { return c.cloud.silence; }, duration(100ms, 1h),
          "A node that says nothing for so long is away."),
      top(
          "cloud.reopen", kReload, [](auto& c) -> auto& { return c.cloud.reopen; }, duration(100ms, 24h),
          "After so long, give or take a fifth, a node that was away gets one picture to try."),
      top(
          "cloud.strip_metadata", kReload, [](auto& c) -> auto& { return c.cloud.strip_metadata; }, yes_or_no(),
          "Whether only pixels are sent: no EXIF, GPS, XMP, no file name. The result gets all of it back here."),
      top(
          "cloud.answer", kReload, [](auto& c) -> auto& { return c.cloud.answer; },
          choice<Cloud::Answer>({{"exact", Cloud::Answer::kExact}, {"small", Cloud::Answer::kSmall}}),
          "Whether results come back lossless, or as JPEG where the original was one, at a third of the bytes."),

      top(
          "serve.listen", kRestart, [](auto& c) -> auto& { return c.serve.listen; }, tcp_endpoint(),
          "Where a daemon with `role: cloud` takes pictures from others, encrypted and from known keys only."),
      top(
          "serve.key", kRestart, [](auto& c) -> auto& { return c.serve.key; }, or_auto<std::filesystem::path>(folder(), {}),
          "The file with its keys, made by `retouch keygen`; nobody else may read it.", "<state_dir>/serve.key"),
      top(
          "serve.clients", kReload, [](auto& c) -> auto& { return c.serve.clients; },
          or_auto<std::filesystem::path>(folder(), {}),
          "The file with the public keys of the daemons that may speak: a key and a name on each line.",
          "<state_dir>/serve.clients"),
      top(
          "serve.keep", kReload, [](auto& c) -> auto& { return c.serve.keep; }, duration(1min, 24h * 365),
          "How long uploads and results wait for their clients."),
      top(
          "serve.disk", kReload, [](auto& c) -> auto& { return c.serve.disk; }, size(mebibytes(1), gibibytes(1024 * 64)),
          "Uploads of all clients together have at most so many bytes."),

      top(
          "callbacks.url", kRestart, [](auto& c) -> auto& { return c.callbacks.url; },
          or_word<std::string>("none", web_address(), {}),
          "Who is told of events by HTTP POST, at least once each (docs/protocol.md).", "nobody"),
      top(
          "callbacks.secret_file", kRestart, [](auto& c) -> auto& { return c.callbacks.secret_file; },
          or_word<std::filesystem::path>("none", folder(), {}), "The file with the secret that signs them.",
          "they are not signed"),
      make_list_key(
          "callbacks.events", kRestart, [](auto& c) -> auto& { return c.callbacks.events; }, event_kind(), 1, 20,
          "The events that are told."),
      top(
          "callbacks.give_up", kReload, [](auto& c) -> auto& { return c.callbacks.give_up; }, duration(1s, 24h * 30),
          "What could not be told for so long is dropped."),

      top(
          "hooks.preview", kReload, [](auto& c) -> auto& { return c.hooks.preview; },
          or_word<std::string>("none", text(4000, "a command"), {}),
          "Run by /bin/sh when a preview is there; what it is about is in RETOUCHD_* variables."),
      top(
          "hooks.escalated", kReload, [](auto& c) -> auto& { return c.hooks.escalated; },
          or_word<std::string>("none", text(4000, "a command"), {}), "The same when a picture goes to the cloud node."),
      top(
          "hooks.done", kReload, [](auto& c) -> auto& { return c.hooks.done; },
          or_word<std::string>("none", text(4000, "a command"), {}), "The same when a result is there."),
      top(
          "hooks.failed", kReload, [](auto& c) -> auto& { return c.hooks.failed; },
          or_word<std::string>("none", text(4000, "a command"), {}), "The same when a job failed."),
      top(
          "hooks.cancelled", kReload, [](auto& c) -> auto& { return c.hooks.cancelled; },
          or_word<std::string>("none", text(4000, "a command"), {}), "The same when a job was cancelled."),
      top(
          "hooks.timeout", kReload, [](auto& c) -> auto& { return c.hooks.timeout; }, duration(100ms, 1h),
          "A command that takes longer is killed."),
  };
}

}  // namespace retouchd::config
