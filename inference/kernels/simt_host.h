#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "inference/kernels/number16.h"

// The instructions of simt.h on a CPU, lane by lane as the PTX manual describes them. What is slow but sure.
namespace retouchd::kernels {

/// Where the threads of one block meet. Whoever runs them implements it (tests/emulator).
class Meeting {
 public:
  virtual ~Meeting() = default;

  virtual void sync(int thread) = 0;
  /// All 32 lanes of the thread's warp bring `mine`; `together` is called once with what they brought, in the order of lanes. All
  /// must have come for the same `purpose`.
  virtual void gather(int thread, const char* purpose, void* mine,
                      const std::function<void(const std::array<void*, 32>&)>& together) = 0;
  /// A copy of 16 bytes that happens in wait_for_copies(); `from` nullptr: zeros.
  virtual void copy(int thread, void* to, const void* from) = 0;
  virtual void close_copies(int thread) = 0;
  virtual void wait_for_copies(int thread, int pending) = 0;
};

inline void check_alignment(const void* address, std::size_t alignment) {
  if (reinterpret_cast<std::uintptr_t>(address) % alignment != 0)
    throw std::logic_error("a kernel uses an address that is not aligned");
}

class Thread {
 public:
  struct Place {
    int block_x = 0;
    int block_y = 0;
    int blocks_x = 1;
  };

  Thread(Meeting& meeting, std::byte* shared, int index, const Place& place)
      : meeting_(&meeting), shared_(shared), index_(index), place_(place) {}

  [[nodiscard]] int index() const { return index_; }
  [[nodiscard]] int lane() const { return index_ % 32; }
  [[nodiscard]] int warp() const { return index_ / 32; }
  [[nodiscard]] int block_x() const { return place_.block_x; }
  [[nodiscard]] int block_y() const { return place_.block_y; }
  [[nodiscard]] int blocks_x() const { return place_.blocks_x; }
  [[nodiscard]] std::byte* shared() const { return shared_; }

  void sync() const { meeting_->sync(index_); }
  void sync_warp() const {
    gather("sync_warp", nullptr, [](const auto&) {});
  }

  [[nodiscard]] float exchange(float value, int mask) const {
    std::array<float, 2> mine{value, 0};
    gather("exchange", &mine, [mask](const std::array<void*, 32>& lanes) {
      for (std::size_t lane = 0; lane < 32; ++lane) {
        const auto other = lane ^ static_cast<std::size_t>(mask);
        static_cast<float*>(lanes[lane])[1] = static_cast<const float*>(lanes[other])[0];
      }
    });
    return mine[1];
  }

  void copy(void* to, const void* from, bool wanted) const {
    check_alignment(to, 16);
    if (wanted) check_alignment(from, 16);
    meeting_->copy(index_, to, wanted ? from : nullptr);
  }
  void close_copies() const { meeting_->close_copies(index_); }
  template <int kPending>
  void wait_for_copies() const {
    meeting_->wait_for_copies(index_, kPending);
  }

  void gather(const char* purpose, void* mine, const std::function<void(const std::array<void*, 32>&)>& together) const {
    meeting_->gather(index_, purpose, mine, together);
  }

 private:
  Meeting* meeting_;
  std::byte* shared_;
  int index_;
  Place place_;
};

namespace host {

struct MatrixLoad {
  std::uint32_t* to;
  const void* row;
};

inline std::uint16_t number_at(const void* row, int index) {
  std::uint16_t bits = 0;
  std::memcpy(&bits, static_cast<const std::byte*>(row) + 2 * index, sizeof bits);
  return bits;
}

inline std::uint32_t both(std::uint16_t first, std::uint16_t second) {
  return static_cast<std::uint32_t>(first) | static_cast<std::uint32_t>(second) << 16U;
}

inline void load_matrices(const std::array<void*, 32>& lanes, bool transposed) {
  const auto row = [&](int matrix, int index) {
    return static_cast<const MatrixLoad*>(lanes[static_cast<std::size_t>(8 * matrix + index)])->row;
  };
  for (int lane = 0; lane < 32; ++lane) {
    const auto* load = static_cast<const MatrixLoad*>(lanes[static_cast<std::size_t>(lane)]);
    const int major = lane / 4;
    const int minor = 2 * (lane % 4);
    for (int matrix = 0; matrix < 4; ++matrix) {
      load->to[matrix] = transposed ? both(number_at(row(matrix, minor), major), number_at(row(matrix, minor + 1), major))
                                    : both(number_at(row(matrix, major), minor), number_at(row(matrix, major), minor + 1));
    }
  }
}

template <typename Sum>
struct Product {
  Sum* sum;
  const std::uint32_t* a;
  std::uint32_t b[2];
};

/// Element `index` of a register.
template <typename T>
float element(std::uint32_t word, int index) {
  return to_float(T{static_cast<std::uint16_t>(index == 0 ? word & 0xffffU : word >> 16U)});
}
inline int signed_byte(std::uint32_t word, int index) {
  return static_cast<std::int8_t>((word >> (8U * static_cast<unsigned>(index))) & 0xffU);
}

/// Both shapes of mma.sync: a register holds `kPack` numbers, K is 8 * kPack.
template <int kPack, typename Sum, typename Element>
void multiply(const std::array<void*, 32>& lanes, const Element& element_of) {
  constexpr int kDepth = 8 * kPack;
  Sum a[16][kDepth];
  Sum b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* product = static_cast<const Product<Sum>*>(lanes[static_cast<std::size_t>(lane)]);
    const int group = lane / 4;
    const int first = kPack * (lane % 4);
    for (int i = 0; i < kPack; ++i) {
      for (int part = 0; part < 4; ++part)
        a[group + 8 * (part % 2)][first + i + kDepth / 2 * (part / 2)] = element_of(product->a[part], i);
      for (int part = 0; part < 2; ++part) b[first + i + kDepth / 2 * part][group] = element_of(product->b[part], i);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto* product = static_cast<const Product<Sum>*>(lanes[static_cast<std::size_t>(lane)]);
    for (int part = 0; part < 4; ++part) {
      const int row = lane / 4 + 8 * (part / 2);
      const int column = 2 * (lane % 4) + part % 2;
      Sum sum = product->sum[part];
      for (int k = 0; k < kDepth; ++k) sum += a[row][k] * b[k][column];
      product->sum[part] = sum;
    }
  }
}

}  // namespace host

inline void load_matrices(const Thread& t, std::uint32_t (&to)[4], const void* row) {
  check_alignment(row, 16);
  host::MatrixLoad mine{to, row};
  t.gather("load_matrices", &mine, [](const auto& lanes) { host::load_matrices(lanes, false); });
}

inline void load_matrices_transposed(const Thread& t, std::uint32_t (&to)[4], const void* row) {
  check_alignment(row, 16);
  host::MatrixLoad mine{to, row};
  t.gather("load_matrices_transposed", &mine, [](const auto& lanes) { host::load_matrices(lanes, true); });
}

template <typename T>
void multiply(const Thread& t, float (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  host::Product<float> mine{sum, a, {b0, b1}};
  t.gather("multiply", &mine, [](const auto& lanes) { host::multiply<2, float>(lanes, host::element<T>); });
}

inline void multiply_bytes(const Thread& t, std::int32_t (&sum)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                           std::uint32_t b1) {
  host::Product<std::int32_t> mine{sum, a, {b0, b1}};
  t.gather("multiply_bytes", &mine, [](const auto& lanes) { host::multiply<4, std::int32_t>(lanes, host::signed_byte); });
}

}  // namespace retouchd::kernels
