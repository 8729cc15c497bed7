#include "tests/emulator/emulator.h"

#include <algorithm>
#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>
#include <deque>
#include <exception>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/emulator/races.h"

namespace retouchd::emulator {
namespace {

namespace context = boost::context;

constexpr std::size_t kStack = std::size_t{128} << 10U;
constexpr std::size_t kGuard = 256;
constexpr std::align_val_t kAlignment{128};
constexpr auto kPoison = std::byte{0xff};
/// A warp goes on for about so many instructions of the whole warp before another one may overtake it: far ahead, mostly, which
/// is where missing barriers show.
constexpr std::uint32_t kStay = 256;

/// Shared memory, poisoned, with a guard behind it.
class Shared {
 public:
  explicit Shared(std::size_t size) : size_(size), memory_(static_cast<std::byte*>(::operator new(size + kGuard, kAlignment))) {
    std::fill_n(memory_, size_ + kGuard, kPoison);
  }
  ~Shared() { ::operator delete(memory_, kAlignment); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  [[nodiscard]] std::byte* begin() const { return memory_; }
  [[nodiscard]] bool was_overrun() const {
    return std::any_of(memory_ + size_, memory_ + size_ + kGuard, [](std::byte byte) { return byte != kPoison; });
  }

 private:
  std::size_t size_;
  std::byte* memory_;
};

class Block final : public kernels::Meeting {
 public:
  Block(int threads, std::size_t shared, std::uint32_t seed)
      : shared_(shared),
        random_(seed),
        copies_come_early_(seed % 2 == 0),
        lanes_(static_cast<std::size_t>(threads)),
        warps_(static_cast<std::size_t>(threads) / 32) {
    if (threads % 32 != 0) throw std::logic_error("a block has whole warps");
  }
  ~Block() override {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (!lanes_[i].fiber) continue;  // else given up where it waits: its stack is unwound there
      races_.enter(i);
      lanes_[i].fiber = {};
      races_.end_lane();
    }
    races_.end();
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void run(context::pooled_fixedsize_stack& stacks, const kernels::Thread::Place& place,
           const std::function<void(const kernels::Thread&)>& body) {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      lanes_[i].fiber = context::fiber(std::allocator_arg, stacks, [this, i, &place, &body](context::fiber&& scheduler) {
        lanes_[i].scheduler = std::move(scheduler);
        races_.begin_lane();
        try {
          body(kernels::Thread(*this, shared_.begin(), static_cast<int>(i), place));
        } catch (const std::exception& error) {
          if (failure_.empty()) failure_ = error.what();
        }
        lanes_[i].state = State::kDone;
        ++done_;
        races_.end_lane();
        return std::move(lanes_[i].scheduler);
      });
    }
    races_.begin();
    std::size_t warp = 0;
    while (done_ < lanes_.size()) {
      if (!can_go_on(warp) || random_() % kStay == 0) warp = next_from(random_() % warps_.size());
      const std::size_t turned = random_() % 2 * 31;  // the last lane first, as often as not
      for (std::size_t lane = 0; lane < 32; ++lane) {
        const std::size_t i = 32 * warp + (lane ^ turned);
        if (lanes_[i].state != State::kReady) continue;
        races_.enter(i);
        lanes_[i].fiber = std::move(lanes_[i].fiber).resume();
        if (failure_.empty()) continue;
        races_.end();
        throw std::logic_error(failure_);
      }
    }
    races_.end();
    if (shared_.was_overrun()) throw std::logic_error("a kernel wrote behind its shared memory");
  }

  void sync(int thread) override {
    ++at_barrier_;
    if (done_ > 0) throw std::logic_error("a thread ended while others wait at a barrier");
    void* const place = barrier_.arrive();
    if (at_barrier_ < lanes_.size()) {
      pause(thread, State::kAtBarrier);
      barrier_.leave(place);
      return;
    }
    at_barrier_ = 0;
    barrier_.all_are_here();
    barrier_.leave(place);
    for (Lane& lane : lanes_) lane.state = State::kReady;
  }

  void gather(int thread, const char* purpose, void* mine,
              const std::function<void(const std::array<void*, 32>&)>& together) override {
    const auto index = static_cast<std::size_t>(thread);
    Warp& warp = warps_[index / 32];
    if (warp.arrived > 0 && std::string(warp.purpose) != purpose)
      throw std::logic_error(std::string("lanes of a warp are at ") + warp.purpose + " and at " + purpose);
    warp.purpose = purpose;
    warp.brought[index % 32] = mine;
    const bool orders = std::string_view(purpose) == "sync_warp";
    void* const place = orders ? warp.meeting.arrive() : nullptr;
    if (std::string_view(purpose).starts_with("load_matrices"))
      races::read(static_cast<const kernels::host::MatrixLoad*>(mine)->row, 16);
    if (++warp.arrived < 32) {
      pause(thread, State::kAtGathering);
      if (orders) warp.meeting.leave(place);
      return;
    }
    warp.arrived = 0;
    if (orders) {
      warp.meeting.all_are_here();
      warp.meeting.leave(place);
    }
    {
      const races::Ignored for_all_lanes;
      together(warp.brought);
    }
    for (std::size_t i = index / 32 * 32; i < index / 32 * 32 + 32; ++i) lanes_[i].state = State::kReady;
  }

  void copy(int thread, void* to, const void* from) override {
    races::write(to, 16);
    if (from != nullptr) races::read(from, 16);
    if (copies_come_early_) {
      perform({to, from});
      lanes_[static_cast<std::size_t>(thread)].open.push_back({to, to});
    } else {
      lanes_[static_cast<std::size_t>(thread)].open.push_back({to, from});
    }
  }
  void close_copies(int thread) override {
    Lane& lane = lanes_[static_cast<std::size_t>(thread)];
    lane.closed.push_back(std::exchange(lane.open, {}));
  }
  void wait_for_copies(int thread, int pending) override {
    auto& closed = lanes_[static_cast<std::size_t>(thread)].closed;
    for (; closed.size() > static_cast<std::size_t>(pending); closed.pop_front()) {
      for (const Copy& copy : closed.front()) {
        races::write(copy.to, 16);
        if (copy.from != copy.to) perform(copy);  // else it came early
      }
    }
  }

 private:
  enum class State { kReady, kAtBarrier, kAtGathering, kDone };
  struct Copy {
    void* to;
    const void* from;
  };
  struct Lane {
    context::fiber fiber;
    context::fiber scheduler;
    State state = State::kReady;
    std::vector<Copy> open;
    std::deque<std::vector<Copy>> closed;
  };
  struct Warp {
    const char* purpose = "";
    std::size_t arrived = 0;
    std::array<void*, 32> brought{};
    races::Meeting meeting;
  };

  static void perform(const Copy& copy) {
    if (copy.from != nullptr) {
      std::memcpy(copy.to, copy.from, 16);
    } else {
      std::memset(copy.to, 0, 16);
    }
  }

  [[nodiscard]] bool can_go_on(std::size_t warp) const {
    return std::any_of(lanes_.begin() + static_cast<std::ptrdiff_t>(32 * warp),
                       lanes_.begin() + static_cast<std::ptrdiff_t>(32 * warp + 32),
                       [](const Lane& lane) { return lane.state == State::kReady; });
  }

  /// The first warp from `warp` on that can go on.
  [[nodiscard]] std::size_t next_from(std::size_t warp) const {
    for (std::size_t i = 0; i < warps_.size(); ++i, warp = (warp + 1) % warps_.size()) {
      if (can_go_on(warp)) return warp;
    }
    throw std::logic_error("the threads of a block wait for each other for ever");
  }

  void pause(int thread, State state) {
    Lane& lane = lanes_[static_cast<std::size_t>(thread)];
    lane.state = state;
    races_.leave();
    lane.scheduler = std::move(lane.scheduler).resume();
  }

  Shared shared_;
  std::mt19937 random_;
  const bool copies_come_early_;
  std::vector<Lane> lanes_;
  std::vector<Warp> warps_;
  races::Lanes races_;
  races::Meeting barrier_;
  std::size_t at_barrier_ = 0;
  std::size_t done_ = 0;
  std::string failure_;
};

}  // namespace

void emulate(const Grid& grid, int threads, std::size_t shared, std::uint32_t seed,
             const std::function<void(const kernels::Thread&)>& body) {
  context::pooled_fixedsize_stack stacks(kStack, static_cast<std::size_t>(threads));
  for (int y = 0; y < grid.y; ++y) {
    for (int x = 0; x < grid.x; ++x) Block(threads, shared, seed).run(stacks, {x, y, grid.x}, body);
  }
}

}  // namespace retouchd::emulator
