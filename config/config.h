#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace retouchd::config {

/// One watched folder.
struct Watch {
  std::string name;              ///< unique; default: the folder's last component
  std::filesystem::path path;    ///< absolute; need not exist yet (then the watch waits)
  std::filesystem::path output;  ///< absolute; mirrors the subfolders of `path`; not inside a watched folder
  bool recursive = true;
  std::chrono::milliseconds settle{2'000};         ///< unchanged for so long after close or move
  std::chrono::milliseconds settle_unseen{5'000};  ///< ... when no event told that it was closed (start, polling)
  std::chrono::seconds rescan{300};
  enum class OnSuccess { kKeep, kMove, kDelete } on_success = OnSuccess::kKeep;  ///< what becomes of the original
  std::filesystem::path move_to;                                                 ///< with on_success: move
  std::string network;                                                           ///< empty: the top-level `network`
  int priority = 0;
  std::string policy;                                                    ///< as Cascade::policy; empty: that of the cascade
  enum class SkipGood { kAuto, kYes, kNo } skip_good = SkipGood::kAuto;  ///< kAuto: as the cascade says

  friend bool operator==(const Watch&, const Watch&) = default;
};

struct ZeroMq {
  bool enabled = true;
  /// ROUTER: ipc:///run/.../requests.sock, or tcp://127.0.0.1:port; the default is below the runtime directory.
  std::string requests;
  std::string events;                  ///< PUB endpoint
  std::uint32_t mode = 0660;           ///< permissions of the ipc sockets
  Bytes max_message = mebibytes(128);  ///< larger pictures go by path
};

struct Http {
  bool enabled = true;
  std::string listen = "127.0.0.1:9464";  ///< loopback only
};

struct Tile {
  int size = 512;                         ///< largest tile side, a multiple of 8, 128..2048
  int batch = 0;                          ///< tiles per batch; 0: chosen for the device
  std::chrono::milliseconds max_wait{5};  ///< an idle device waits so long for a fuller batch
};

/// Pictures whose full pass takes long keep their finished tiles on disk.
struct Resume {
  std::chrono::seconds longer_than{60};  ///< of the device's time for the picture, as measured before
};

struct Preview {
  bool enabled = true;
  double megapixels = 1.0;  ///< 0.05..10
  int quality = 85;         ///< JPEG
};

/// Which pictures are left alone, restored here, or sent to a larger node (docs/cascade.md).
struct Cascade {
  std::string policy = "local";       ///< "local", "hybrid" or "progressive"
  double threshold = 0.9;             ///< hybrid: pictures with a lower score are escalated; 0..1
  double rate = 0.10;                 ///< share of pictures that the threshold should escalate; 0..1
  std::filesystem::path calibration;  ///< by `retouch calibrate`; default: <state_dir>/calibration.json, if it is there
  double good_enough = 36.0;          ///< dB; progressive: a level that loses no more detail than this is the last one
  std::vector<double> levels{4.0};    ///< megapixels, rising; progressive: what is tried between preview and full size
  bool skip_good = false;             ///< pictures that restoration would not improve are passed on untouched
  double skip_share = 0.5;            ///< of the recent pictures, at most
};

/// The node that pictures are escalated to.
struct Cloud {
  std::string node;           ///< "tcp://host:port": a retouchd; "http://host:port": a model server; empty: there is none
  std::string server_key;     ///< public CURVE key of the retouchd, Z85
  std::filesystem::path key;  ///< our own key pair, by `retouch keygen`; default: <state_dir>/cloud.key
  std::string network;        ///< empty: the job's
  enum class Fallback { kLocalFull, kLocalPreview, kQueue } fallback = Fallback::kLocalFull;  ///< node away or over budget
  int escalations_per_hour = 120;                                                             ///< 0: no bound
  Bytes bytes_per_hour = gibibytes(2);                                                        ///< sent and received; 0: no bound
  int parallel = 4;                                                                           ///< pictures under way at once
  std::chrono::seconds timeout{15 * 60};                                                      ///< for one picture, there and back
  std::chrono::milliseconds silence{30'000};                     ///< without a word from the node it counts as away
  std::chrono::milliseconds reopen{60'000};                      ///< an open breaker lets a probe through after so long
  bool strip_metadata = true;                                    ///< only pixels leave the house
  enum class Answer { kExact, kSmall } answer = Answer::kExact;  ///< lossless, or JPEG
};

/// What `role: cloud` offers to other daemons.
struct Serve {
  std::string listen = "tcp://0.0.0.0:9465";  ///< CURVE only
  std::filesystem::path key;                  ///< our key pair; default: <state_dir>/serve.key
  std::filesystem::path clients;              ///< public keys that may speak, one a line; default: <state_dir>/serve.clients
  std::chrono::seconds keep{24 * 3600};       ///< uploads and results wait so long for their clients
  Bytes disk = gibibytes(16);                 ///< of uploads, all clients together
};

/// Who is told over HTTP.
struct Callbacks {
  std::string url;                    ///< http:// or https://; empty: nobody
  std::filesystem::path secret_file;  ///< key of the signature; empty: not signed
  std::vector<std::string> events{"done", "failed", "cancelled"};
  std::chrono::seconds give_up{24 * 3600};  ///< a notification that could not be delivered for so long is dropped
};

/// Commands of /bin/sh by job state; empty: none.
struct Hooks {
  std::string preview;
  std::string escalated;
  std::string done;
  std::string failed;
  std::string cancelled;
  std::chrono::milliseconds timeout{60'000};  ///< then the command is killed
};

/// How pictures are read.
struct Input {
  enum class Pages { kFirst, kAll } pages = Pages::kFirst;       ///< of a TIFF
  enum class Colours { kFile, kSrgb } colours = Colours::kFile;  ///< that networks see: the file's own, or sRGB
};

struct Output {
  /// Of results whose names retouchd makes up; kSame: that of the original.
  enum class Format { kSame, kJpeg, kPng, kTiff, kWebp, kAvif, kJxl } format = Format::kSame;
  /// ".avif"; empty: the original's.
  [[nodiscard]] std::string_view suffix() const noexcept;
  int jpeg_quality = 95;
  int png_level = 3;
  int webp_quality = 95;
  int avif_quality = 80;
  int avif_speed = 8;
  int jxl_quality = 90;
  int jxl_effort = 4;
  enum class TiffCompression { kNone, kLzw, kDeflate } tiff_compression = TiffCompression::kDeflate;
  enum class Metadata { kKeep, kStrip } metadata = Metadata::kKeep;
  bool provenance = true;                                            ///< what was done to a picture is written into its XMP
  enum class FileTime { kNow, kSource } file_time = FileTime::kNow;  ///< modification time of results
};

/// Picture files are read and written by processes that can do nothing else.
struct Sandbox {
  bool enabled = true;
  std::chrono::seconds timeout{60};  ///< for one picture, plus a second for each megapixel
};

struct Limits {
  double megapixels = 400.0;
  std::uint32_t side = 65'500;
  int frames = 1000;               ///< pages or pictures of an animation in one file
  int jpeg_scans = 100;            ///< of a progressive JPEG
  Bytes metadata = mebibytes(16);  ///< larger EXIF, XMP, ICC blocks are left out
  Bytes file_size = gibibytes(2);
  Bytes weights = gibibytes(4);  ///< larger weight files are refused
  int queued_jobs = 1'000'000;   ///< more are answered with busy
};

struct Retry {
  int attempts = 3;  ///< for transient failures
  std::vector<std::chrono::milliseconds> backoff{std::chrono::seconds(10), std::chrono::minutes(1), std::chrono::minutes(5)};
};

struct Workers {
  int decode = 0;  ///< threads; 0: by the number of cores
  int encode = 0;
  int infer = 0;  ///< threads of the CPU device; 0: one per core
};

struct Retention {
  std::chrono::hours done{24 * 30};
  std::chrono::hours failed{24 * 365};
};

struct Log {
  enum class Level { kDebug, kInfo, kWarning, kError } level = Level::kInfo;
};

/// Everything a user can set, validated and complete: paths absolute, defaults filled in. Read once; parts are handed out as
/// plain structs.
struct Config {
  std::filesystem::path file;                     ///< where it came from; empty: built-in defaults
  std::filesystem::path state_dir;                ///< job store, spool, results, previews
  std::filesystem::path runtime_dir;              ///< sockets
  std::vector<std::filesystem::path> model_dirs;  ///< searched for weights, first match wins
  Bytes memory{0};                                ///< budget of the whole process; 0: half of the machine's memory
  std::string network = "student-tiny";
  std::string device = "auto";  ///< inference::DeviceOptions::devices
  std::string simulation;       ///< of simulated devices: inference/simulated_device.h
  bool deterministic = false;   ///< results do not depend on what else is restored at the same time, bit for bit
  enum class Precision { kAuto, kFp32, kTf32, kFp16, kBf16, kMixed, kInt8 } precision = Precision::kAuto;
  bool optimize = true;  ///< false: networks run operation by operation, in fp32
  enum class Backend { kAuto, kOptimized, kCompiled, kFused } backend = Backend::kAuto;  ///< who computes the networks
  bool cuda_graphs = false;                                                              ///< NVIDIA: recorded forward passes
  enum class Mode { kAuto, kTiled, kSinglePass } mode = Mode::kAuto;
  enum class Attention { kGlobal, kLocal } attention = Attention::kGlobal;  ///< of Restormers without a manifest
  std::chrono::seconds drain_timeout{30};
  std::vector<Watch> watch;
  ZeroMq zmq;
  Http http;
  Tile tile;
  Resume resume;
  Preview preview;
  enum class Role { kEdge, kCloud } role = Role::kEdge;  ///< kCloud: also works for other daemons (`serve`)
  Cascade cascade;
  Cloud cloud;
  Serve serve;
  Callbacks callbacks;
  Hooks hooks;
  Input input;
  Output output;
  Sandbox sandbox;
  Limits limits;
  Retry retry;
  Workers workers;
  Retention retention;
  Log log;
};

}  // namespace retouchd::config
