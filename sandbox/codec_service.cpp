#include "sandbox/codec_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <new>
#include <utility>
#include <vector>

#include "sandbox/description.h"
#include "sandbox/jail.h"
#include "sandbox/mapping.h"
#include "sandbox/protocol.h"

namespace retouchd::sandbox {
namespace {

/// Set for a signal handler, which knows nothing else.
struct InWork {
  const std::uint8_t* file = nullptr;
  std::uint64_t file_size = 0;
  std::uint64_t id = 0;
};
volatile InWork* g_in_work = nullptr;

/// A page of a mapped file that is not there: the file was cut short meanwhile, or memory ran out. The stack below is the
/// codec's, so this process says so and ends.
void answer_bus_error(int /*signal*/, siginfo_t* info, void* /*context*/) {
  static Reply reply;
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  const auto file = g_in_work == nullptr ? 0 : reinterpret_cast<std::uintptr_t>(g_in_work->file);
  const bool is_cut = file != 0 && address >= file && address - file < g_in_work->file_size;
  reply.id = g_in_work == nullptr ? 0 : g_in_work->id;
  reply.code = static_cast<std::int32_t>(is_cut ? ErrorCode::kInputChanged : ErrorCode::kOverMemoryBudget);
  reply.leaves = 1;
  put_text(reply.text, is_cut ? "the file was cut short while it was read" : "not enough memory for the picture");
  const bool sent = send_message(kSocket, bytes_of(reply));
  ::_exit(sent ? 0 : 1);
}

void set_signals() {
  // The daemon decides when this process ends, by closing its socket; a terminal or systemd signals all processes at once.
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) ::signal(ignored, SIG_IGN);
  struct sigaction action {};
  action.sa_sigaction = &answer_bus_error;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND;
  ::sigaction(SIGBUS, &action, nullptr);
}

std::uint64_t mapped_now() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// When memory runs out, rather this process than the daemon.
void offer_to_oom_killer() { std::ofstream("/proc/self/oom_score_adj") << 900; }

Reply failed(const Error& error) {
  Reply reply;
  reply.code = static_cast<std::int32_t>(error.code);
  put_text(reply.text, error.message);
  return reply;
}

/// The planes of `picture` where the daemon looks for them.
void settle(image::Picture& picture, SharedPlanes& planes) {
  for (cv::Mat* plane : {&picture.colour, &picture.alpha}) {
    if (plane->empty() || (planes.owns(*plane) && plane->isContinuous())) continue;
    cv::Mat place = planes.make(plane->size(), plane->type());
    plane->copyTo(place);
    *plane = place;
  }
  for (image::Picture& page : picture.pages) settle(page, planes);
}

bool write_all(int fd, std::span<const std::uint8_t> bytes) {
  image::DescriptorFile file(fd);
  return file.append(bytes);
}

/// One request with its files. Its members go in reverse: nothing is mapped any more when the answer is sent.
class Work {
 public:
  Work(const Codec& codec, const Request& request, const std::vector<UniqueFd>& files, const Mapping& arena)
      : codec_(codec), request_(request), files_(files), arena_(arena) {}

  Result<Reply> run() {
    switch (request_.task) {
      case Task::kReadHeader:
        return read_header();
      case Task::kDecode:
        return decode();
      case Task::kEncode:
        return encode();
    }
    return make_error(ErrorCode::kInternal, "no such task");
  }

 private:
  /// The file in memory; pages come as they are read.
  Result<Mapping> input() const {
    auto mapping = Mapping::of(files_.at(0).get(), request_.file_size, Mapping::Kind::kRead);
    if (!mapping) return mapping;
    const auto bytes = mapping->bytes();
    g_in_work->file = bytes.data();
    g_in_work->file_size = bytes.size();
    return mapping;
  }

  /// Maps the planes where they have a file of their own.
  Result<Mapping> planes_memory(Mapping::Kind kind) const {
    if (fits_arena(request_.planes_size)) return Mapping{};
    return Mapping::of(files_.at(2).get(), request_.planes_size, kind);
  }
  std::span<std::uint8_t> pixels_in(const Mapping& own) const noexcept {
    return own.bytes().empty() ? arena_.bytes().first(request_.planes_size) : own.bytes();
  }

  Result<Reply> read_header() {
    const auto file = input();
    if (!file) return file.error();
    const auto header = codec_.read_header(file->bytes(), request_.limits);
    if (!header) return header.error();
    Reply reply;
    reply.header = wire(*header);
    return reply;
  }

  Result<Reply> decode() {
    const auto file = input();
    if (!file) return file.error();
    const auto memory = planes_memory(Mapping::Kind::kShared);
    if (!memory) return memory.error();
    Mapping::expect_reads(file->bytes());
    SharedPlanes planes(pixels_in(*memory));
    const auto picture = decode_into(planes, file->bytes());
    if (planes.ran_out()) return make_error(ErrorCode::kInputChanged, "the file has become another picture while it was read");
    if (!picture) return picture.error();
    const auto description = describe(*picture, [&](const cv::Mat& plane) { return planes.offset_of(plane); });
    if (description.size() > request_.description_size) {
      return make_error(ErrorCode::kPictureTooLarge, fmt::format("its metadata take {}", to_string(Bytes{description.size()})));
    }
    if (!write_all(files_.at(1).get(), description))
      return make_error(ErrorCode::kOverMemoryBudget, "no memory for its metadata");
    Reply reply;
    reply.description_size = description.size();
    return reply;
  }

  Result<image::Picture> decode_into(SharedPlanes& planes, std::span<const std::uint8_t> file) {
    try {
      auto picture = codec_.decode(file, request_.limits, planes);
      if (picture) settle(*picture, planes);
      return picture;
    } catch (const std::bad_alloc&) {
      return make_error(ErrorCode::kOverMemoryBudget, "not enough memory for the picture");
    }
  }

  Result<Reply> encode() {
    const auto memory = planes_memory(Mapping::Kind::kRead);
    if (!memory) return memory.error();
    const auto description = Mapping::of(files_.at(0).get(), request_.description_size, Mapping::Kind::kRead);
    if (!description) return description.error();
    const auto pixels = pixels_in(*memory);
    Mapping::expect_reads(pixels);
    const auto picture = picture_from(description->bytes(), [&](std::uint64_t offset, cv::Size size, int type) {
      return cv::Mat(size, type, pixels.data() + offset);
    });
    if (!picture) return picture.error();
    image::DescriptorFile file(files_.at(1).get());
    Reply reply;
    std::string warning;
    if (auto encoded = codec_.encode(*picture, request_.format, request_.options, file, &warning); !encoded)
      return encoded.error();
    put_text(reply.text, warning);
    return reply;
  }

  const Codec& codec_;
  const Request& request_;
  const std::vector<UniqueFd>& files_;
  const Mapping& arena_;
};

Reply answer(const Codec& codec, const Request& request, const std::vector<UniqueFd>& files, const Mapping& arena) {
  try {
    auto reply = Work(codec, request, files, arena).run();
    return reply ? *reply : failed(reply.error());
  } catch (const std::bad_alloc&) {
    return failed(make_error(ErrorCode::kOverMemoryBudget, "not enough memory for the picture"));
  } catch (const std::exception& thrown) {
    return failed(make_error(ErrorCode::kInternal, fmt::format("unexpected: {}", thrown.what())));
  }
}

/// Everything before the first request.
Hello prepare_and_lock_in(const Codec& codec) {
  Hello hello;
  set_signals();
  offer_to_oom_killer();
  hello.own_network = leave_network() ? 1 : 0;
  try {
    codec.prepare();
  } catch (const std::exception& thrown) {
    put_text(hello.failure, fmt::format("it cannot load its codecs: {}", thrown.what()));
    return hello;
  }
  hello.mapped = mapped_now();
  ::close_range(kSocket + 1, ~0U, 0);
  const auto locked = lock_in();
  if (locked) {
    hello.landlock = *locked;
  } else {
    put_text(hello.failure, locked.error().message);
  }
  return hello;
}

}  // namespace

int serve(const Codec& codec) {
  const auto arena = Mapping::of(kArena, kArenaSize, Mapping::Kind::kShared);
  if (!arena) return 1;
  const Hello hello = prepare_and_lock_in(codec);
  if (!send_message(kSocket, bytes_of(hello)) || hello.failure[0] != '\0') return 1;
  InWork in_work;
  g_in_work = &in_work;
  while (true) {
    Request request;
    std::vector<UniqueFd> files;
    if (receive_message(kSocket, writable_bytes_of(request), &files) != sizeof(request)) return 0;
    in_work = {nullptr, 0, request.id};
    Reply reply = answer(codec, request, files, *arena);
    in_work = {};
    reply.id = request.id;
    // Before the answer: then nobody but the daemon has them.
    files.clear();
    if (!send_message(kSocket, bytes_of(reply))) return 0;
  }
}

}  // namespace retouchd::sandbox
