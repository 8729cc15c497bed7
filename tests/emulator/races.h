#pragma once

#include <cstddef>

#if defined(RETOUCHD_FINDS_RACES)
#include <vector>

// Of libtsan; its header came with GCC 13.
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_read_range(void* address, unsigned long size);
void __tsan_write_range(void* address, unsigned long size);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

// Tells ThreadSanitizer, in builds with it, which lane of a block runs and what orders lanes: sync() and sync_warp(), and nothing
// else. An exchange or a product of matrices waits for the lanes of a warp, too, but CUDA does not promise that one sees then
// what another one wrote; and a copy may write at any time from its start to the wait for it. A kernel that lacks a barrier is
// reported as a data race between the two lines, whatever the order in which the lanes ran.
namespace retouchd::emulator::races {

#if defined(RETOUCHD_FINDS_RACES)

inline constexpr unsigned kWithoutOrder = 1;

/// Lanes of the blocks that the calling thread runs, which never has two at once.
class Fibers {
 public:
  ~Fibers() {
    for (void* const fiber : fibers_) __tsan_destroy_fiber(fiber);
  }
  void* at(std::size_t lane) {
    while (fibers_.size() <= lane) fibers_.push_back(__tsan_create_fiber(0));
    return fibers_[lane];
  }

 private:
  std::vector<void*> fibers_;
};

/// Where lanes meet: what they did before is seen by all behind it. Two places in turns, so that who is already at the next
/// meeting orders nothing for who still leaves this one.
class Meeting {
 public:
  void* arrive() {
    __tsan_release(&places_[round_ % 2]);
    return &places_[round_ % 2];
  }
  void all_are_here() { ++round_; }
  static void leave(void* place) { __tsan_acquire(place); }

 private:
  char places_[2] = {};
  unsigned round_ = 0;
};

class Lanes {
 public:
  /// In the scheduler.
  void begin() {
    scheduler_ = __tsan_get_current_fiber();
    __tsan_release(&started_);
  }
  void end() { __tsan_acquire(&ended_); }
  void enter(std::size_t lane) {
    static thread_local Fibers fibers;
    __tsan_switch_to_fiber(fibers.at(lane), kWithoutOrder);
  }
  /// In a lane.
  void begin_lane() { __tsan_acquire(&started_); }
  void end_lane() {
    __tsan_release(&ended_);
    leave();
  }
  void leave() { __tsan_switch_to_fiber(scheduler_, kWithoutOrder); }

 private:
  void* scheduler_ = nullptr;
  char started_ = 0;
  char ended_ = 0;
};

inline void read(const void* address, std::size_t size) { __tsan_read_range(const_cast<void*>(address), size); }
inline void write(void* address, std::size_t size) { __tsan_write_range(address, size); }

/// What one lane does for others meanwhile is not looked at.
class Ignored {
 public:
  Ignored() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  ~Ignored() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  Ignored(const Ignored&) = delete;
  Ignored& operator=(const Ignored&) = delete;
};

#else

struct Meeting {
  static void* arrive() { return nullptr; }
  static void all_are_here() {}
  static void leave(void* /*place*/) {}
};

struct Lanes {
  static void begin() {}
  static void end() {}
  static void enter(std::size_t /*lane*/) {}
  static void begin_lane() {}
  static void end_lane() {}
  static void leave() {}
};

inline void read(const void* /*address*/, std::size_t /*size*/) {}
inline void write(void* /*address*/, std::size_t /*size*/) {}

struct Ignored {
  Ignored() {}  // not trivial: a variable of it is used by being there
  ~Ignored() {}
  Ignored(const Ignored&) = delete;
  Ignored& operator=(const Ignored&) = delete;
};

#endif

}  // namespace retouchd::emulator::races
