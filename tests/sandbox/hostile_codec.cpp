// A worker whose codecs do what the picture says: "HOSTILE <command>". Everything else is read and written as always.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "image/metadata.h"
#include "sandbox/codec_service.h"
#include "sandbox/description.h"
#include "sandbox/mapping.h"
#include "sandbox/protocol.h"

namespace {

using namespace retouchd;
using namespace retouchd::sandbox;
namespace image = retouchd::image;

constexpr std::string_view kMark = "HOSTILE ";
constexpr int kSide = 64;
constexpr int kLargeSide = 4096;  // does not fit the arena
// Descriptors of a request come behind the socket's (the arena's is closed): the picture's file first.
constexpr int kDescriptionFile = kSocket + 2;
constexpr int kPlanesFile = kSocket + 3;

std::uint64_t g_calls = 0;  // what the daemon numbers its requests by

std::string command_in(std::string_view text) {
  if (!text.starts_with(kMark)) return {};
  text.remove_prefix(kMark.size());
  return std::string(text.substr(0, text.find('\n')));
}

std::string command_in(std::span<const std::uint8_t> file) {
  return command_in(std::string_view(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 64)));
}

[[noreturn]] void wait_for_ever() {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (true) never.wait(lock);
}

/// What the system said, as an error of a picture.
Error outcome(long result) {
  return make_error(ErrorCode::kCorruptPicture, result < 0 ? std::strerror(errno) : "it was allowed");
}

Reply honest_reply() {
  Reply reply;
  reply.id = g_calls;
  return reply;
}

/// Answers as if it were the loop, and is silent then.
[[noreturn]] void answer(const Reply& reply) {
  static_cast<void>(send_message(kSocket, bytes_of(reply)));
  wait_for_ever();
}

/// Answers a decoded picture with this description.
[[noreturn]] void answer_described(const std::vector<std::uint8_t>& description) {
  image::DescriptorFile(kDescriptionFile).append(description);
  Reply reply = honest_reply();
  reply.description_size = description.size();
  answer(reply);
}

/// A description with a colour plane of this size and type at this offset.
std::vector<std::uint8_t> lie(cv::Size size, int type, std::uint64_t offset, int pages = 0) {
  std::uint8_t nothing = 0;
  image::Picture picture;
  picture.colour = cv::Mat(size, type, &nothing, cv::Mat::AUTO_STEP);
  picture.format = image::FileFormat::kPng;
  picture.pages.resize(static_cast<std::size_t>(pages), picture);
  return describe(picture, [offset](const cv::Mat&) { return offset; });
}

Result<image::Picture> decoded(image::PlaneMemory& memory) {
  image::Picture picture;
  picture.format = image::FileFormat::kPng;
  picture.colour = memory.make({kSide, kSide}, CV_8UC3);
  picture.colour.setTo(7);
  return picture;
}

using Command = std::function<Result<image::Picture>(std::span<const std::uint8_t> file, image::PlaneMemory& memory)>;

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> all{
      {"segv",
       [](auto, auto&) -> Result<image::Picture> {
         std::raise(SIGSEGV);
         return outcome(0);
       }},
      {"abort", [](auto, auto&) -> Result<image::Picture> { std::abort(); }},
      {"exit", [](auto, auto&) -> Result<image::Picture> { ::_exit(0); }},
      {"stack",
       [](auto, auto&) -> Result<image::Picture> {
         std::function<int(int)> deeper = [&](int depth) { return depth < 0 ? 0 : deeper(depth + 1) + 1; };
         return outcome(deeper(0));
       }},
      {"loop",
       [](auto, auto&) -> Result<image::Picture> {
         for (volatile bool goes_on = true; goes_on;) continue;
         return outcome(0);
       }},
      {"never", [](auto, auto&) -> Result<image::Picture> { wait_for_ever(); }},
      {"allocate",
       [](auto, auto&) -> Result<image::Picture> {
         std::vector<std::vector<char>> all_of_it;
         while (true) all_of_it.emplace_back(gibibytes(1).value);
       }},
      {"leak",
       [](auto, auto& memory) -> Result<image::Picture> {
         static_cast<void>(memory.make({1 << 15, 1 << 15}, CV_8UC3));
         return outcome(0);
       }},
      {"socket", [](auto, auto&) -> Result<image::Picture> { return outcome(::socket(AF_INET, SOCK_STREAM, 0)); }},
      {"exec",
       [](auto, auto&) -> Result<image::Picture> { return outcome(::execl("/bin/true", "true", static_cast<char*>(nullptr))); }},
      {"ptrace", [](auto, auto&) -> Result<image::Picture> { return outcome(::ptrace(PTRACE_ATTACH, ::getppid(), 0, 0)); }},
      {"kill", [](auto, auto&) -> Result<image::Picture> { return outcome(::kill(::getppid(), SIGKILL)); }},
      {"unshare", [](auto, auto&) -> Result<image::Picture> { return outcome(::unshare(CLONE_NEWNS)); }},
      {"open", [](auto, auto&) -> Result<image::Picture> { return outcome(::open("/etc/passwd", O_RDONLY)); }},
      {"create", [](auto, auto&) -> Result<image::Picture> { return outcome(::open("/tmp/hostile", O_CREAT | O_RDWR, 0600)); }},
      {"stat",
       [](auto, auto&) -> Result<image::Picture> {
         struct stat info {};
         return outcome(::stat("/etc/passwd", &info));
       }},
      {"unlink", [](auto, auto&) -> Result<image::Picture> { return outcome(::unlink("/tmp/hostile")); }},
      {"fork", [](auto, auto&) -> Result<image::Picture> { return outcome(::fork()); }},
      {"code",
       [](auto, auto&) -> Result<image::Picture> {
         void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         return outcome(page == MAP_FAILED ? -1 : 0);
       }},
      {"truncate", [](auto, auto&) -> Result<image::Picture> { return outcome(::ftruncate(kPlanesFile, 0)); }},
      {"beyond",
       [](auto, auto& memory) -> Result<image::Picture> {
         auto picture = decoded(memory);
         std::memset(picture->colour.data, 1, mebibytes(64).value);
         return picture;
       }},
      {"keep",
       [](auto, auto& memory) -> Result<image::Picture> {
         static_cast<void>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kPlanesFile, 0));
         return decoded(memory);
       }},
      {"end",
       [](auto file, auto&) -> Result<image::Picture> {
         volatile std::uint8_t last = file.back();
         return outcome(last);
       }},
      {"silent",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({kSide, kSide}, CV_8UC3, 0));
       }},
      {"size",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({1 << 15, 1 << 15}, CV_8UC3, 0));
       }},
      {"other",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({8, 8}, CV_8UC3, 0));
       }},
      {"type",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({kSide, kSide}, CV_64FC4, 0));
       }},
      {"offset",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({kSide, kSide}, CV_8UC3, ~0ULL - 63));
       }},
      {"pages",
       [](auto, auto&) -> Result<image::Picture> {
         answer_described(lie({8, 8}, CV_8UC3, 0, 5));
       }},
      {"cut",
       [](auto, auto&) -> Result<image::Picture> {
         auto description = lie({kSide, kSide}, CV_8UC3, 0);
         description.resize(description.size() / 2);
         answer_described(description);
       }},
      {"counts",
       [](auto, auto&) -> Result<image::Picture> {
         auto description = lie({kSide, kSide}, CV_8UC3, 0);
         std::memset(description.data() + description.size() - 8, 0xFF, 8);  // how many pages there are
         answer_described(description);
       }},
      {"nothing", [](auto, auto&) -> Result<image::Picture> { answer(honest_reply()); }},
      {"length",
       [](auto, auto&) -> Result<image::Picture> {
         Reply reply = honest_reply();
         reply.description_size = ~0ULL;
         answer(reply);
       }},
      {"missing",
       [](auto, auto&) -> Result<image::Picture> {
         Reply reply = honest_reply();
         reply.description_size = 4096;
         answer(reply);
       }},
      {"code of error",
       [](auto, auto&) -> Result<image::Picture> {
         Reply reply = honest_reply();
         reply.code = 12'345;
         answer(reply);
       }},
      {"error", [](auto, auto&) -> Result<image::Picture> { return make_error(ErrorCode::kDeviceFailed, "not mine to say"); }},
      {"text",
       [](auto, auto&) -> Result<image::Picture> {
         return make_error(ErrorCode::kCorruptPicture, "\x1b[2J\xff\n" + std::string(100'000, 'x'));
       }},
      {"number",
       [](auto, auto&) -> Result<image::Picture> {
         Reply reply = honest_reply();
         reply.id += 1;
         answer(reply);
       }},
      {"garbage",
       [](auto, auto&) -> Result<image::Picture> {
         const std::array<char, 100> garbage{};
         static_cast<void>(send_message(kSocket, bytes_of(garbage)));
         wait_for_ever();
       }},
      {"twice",
       [](auto, auto& memory) -> Result<image::Picture> {
         Reply reply = honest_reply();
         reply.code = static_cast<std::int32_t>(ErrorCode::kCorruptPicture);
         put_text(reply.text, "the first answer");
         static_cast<void>(send_message(kSocket, bytes_of(reply)));
         return decoded(memory);
       }},
  };
  return all;
}

void prepare() {}

image::PictureHeader header_of(std::uint32_t side) {
  image::PictureHeader header;
  header.format = image::FileFormat::kPng;
  header.width = header.height = side;
  return header;
}

Result<image::PictureHeader> read_header(std::span<const std::uint8_t> file, const image::DecodeLimits& limits) {
  ++g_calls;
  const std::string command = command_in(file);
  if (command.empty()) return image::read_header(file, limits);
  if (command == "header") {
    Reply reply = honest_reply();
    reply.header = wire(header_of(1U << 30U));
    answer(reply);
  }
  return header_of(command == "keep" ? kLargeSide : kSide);
}

Result<image::Picture> decode(std::span<const std::uint8_t> file, const image::DecodeLimits& limits, image::PlaneMemory& memory) {
  ++g_calls;
  const std::string command = command_in(file);
  if (command.empty()) return image::decode(file, limits, memory);
  return commands().at(command)(file, memory);
}

Result<void> encode(const image::Picture& picture, image::FileFormat format, const image::EncodeOptions& options,
                    image::OutputFile& file, std::string* warning) {
  ++g_calls;
  const std::string command = picture.metadata ? command_in(picture.metadata->comment) : "";
  if (command == "grow") {
    const std::vector<std::uint8_t> more(mebibytes(1).value);
    while (file.append(more)) continue;
    return file.error();
  }
  if (command == "hold") {
    static_cast<void>(image::encode(picture, format, options, file, warning));
    answer(honest_reply());
  }
  if (command == "segv") std::raise(SIGSEGV);
  if (command == "open") return outcome(::open("/etc/passwd", O_RDONLY));
  return image::encode(picture, format, options, file, warning);
}

}  // namespace

int main() { return serve({&prepare, &read_header, &decode, &encode}); }
