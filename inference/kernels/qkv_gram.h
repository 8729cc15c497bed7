#pragma once

#include "inference/kernels/gram_tile.h"

namespace retouchd::kernels {

/// Step 5 of the ladder: from the block's input to v and the sums that channel attention needs, with nothing between them in
/// the device's memory.
///
/// A block has one head of one slot, that head's sums in registers and its weights (16 to 58 KiB) in shared memory for good. It
/// walks over tiles of 10x8 pixels, whose 120 pixels with the border are 128 rows of products. Two groups of warps work side by
/// side, so that tensor cores and the depthwise convolution (fp32, no tensor cores) are both busy; a barrier ends each of the
/// four steps of a tile:
///
///     expanding   normalise   | q         | k           | v           | normalise   | q         | ...   tile n, n + 1
///     summing                 |           | depthwise q | depthwise k | depthwise v | q^T k     | ...   tile n
///
/// q and v go through one chunk of shared memory, k through another. The next tile arrives during all four steps.
///
/// Device memory, per pixel and channel: 2 bytes are read (3 with the borders; by the blocks of each head, at about the same
/// time, so that all but the first should meet them in the L2 cache), 2 are written. Shared memory: 92 KiB with 48 channels, 201
/// KiB with 96, 130 KiB where those are two heads, 205 KiB with 192.
///
/// Not measured. By the count of instructions the expansion (mma.sync and the ldmatrix that feed it) and the depthwise
/// convolution take about as long where a head has all 96 channels; with 192 channels the expansion bounds it.
template <typename T, int kInChannels, int kHeadChannels>
struct QkvGramKernel {
  struct Arguments {
    Map map;
    int heads;
    Norm norm;
    const T* in;
    const T* weight;
    const float* bias;
    const T* depthwise;
    T* v;
    GramSums sums;
  };

  static constexpr int kHeight = 10;
  static constexpr int kWidth = 8;
  static constexpr int kExpandWarps = kHeadChannels == 96 ? 8 : 4;
  static constexpr int kSumWarps = 6;
  static constexpr int kThreads = kWarp * (kExpandWarps + kSumWarps);
  static constexpr int kBlocksPerMultiprocessor = kInChannels == 48 ? 2 : 1;

  using Input = HaloTile<T, kInChannels, kHeight, kWidth, kWarp * kExpandWarps>;
  using Tile = GramTile<T, kHeadChannels, kHeight, kWidth, kWarp * kSumWarps, kExpandWarps>;
  static constexpr int kChannels = Tile::kChannels;

  // Shared memory, in numbers, in this order; bias in fp32 behind it.
  static constexpr int kInput = Input::kPadded * Input::kPitch;  // two of these
  static constexpr int kWeight = 3 * kChannels * Input::kPitch;
  static constexpr int kChunk = Input::kPadded * Tile::kPitch;  // two of these
  static constexpr int kKept = Tile::kPixels * Tile::kPitch;    // q, k
  static constexpr int kTaps = 27 * kChannels;
  static constexpr std::size_t kShared =
      sizeof(T) * (2 * kInput + kWeight + 2 * kChunk + 2 * kKept + kTaps) + sizeof(float) * 3 * kChannels;
  static_assert(Tile::kStoreBytes <= sizeof(T) * (2 * kInput + kWeight));

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& arguments) {
    const Walk walk(t, arguments);
    const int head = walk.head;
    const Memory memory(t);
    copy_rows<T, 3 * kChannels, kInChannels, kThreads>(t, memory.weight, Input::kPitch, [&](int row) {
      const int output = row / kChannels * arguments.heads * kChannels + head * kChannels + row % kChannels;
      return arguments.weight + output * kInChannels;
    });
    copy_taps<T, kChannels, kThreads>(t, memory.taps, arguments.depthwise, arguments.heads * kChannels, head);
    for (int i = t.index(); i < 3 * kChannels; i += kThreads) {
      const int output = i / kChannels * arguments.heads * kChannels + head * kChannels + i % kChannels;
      memory.bias[i] = arguments.bias == nullptr ? 0.0F : arguments.bias[output];
    }
    if (t.warp() < kExpandWarps) {
      expand(t, arguments, walk, memory);
    } else {
      sum_up(t, arguments, walk, memory);
    }
  }

 private:
  /// The block's tiles: from `slot` on in steps of `slots`.
  struct Walk {
    int picture;
    int head;
    int slot;
    int slots;
    int tiles;

    RETOUCHD_KERNEL Walk(const Thread& t, const Arguments& arguments)
        : picture(t.block_y()),
          head(t.block_x() % arguments.heads),
          slot(t.block_x() / arguments.heads),
          slots(arguments.sums.slots),
          tiles(tiles_in<kHeight, kWidth>(arguments.map)) {}

    [[nodiscard]] RETOUCHD_KERNEL TilePlace place_of(const Map& map, int tile) const {
      return tile_place<kHeight, kWidth>(map, picture, tile);
    }
  };

  struct Memory {
    T* input;
    T* weight;
    T* chunk;
    T* kept;
    T* taps;
    float* bias;

    RETOUCHD_KERNEL explicit Memory(const Thread& t)
        : input(reinterpret_cast<T*>(t.shared())),
          weight(input + 2 * kInput),
          chunk(weight + kWeight),
          kept(chunk + 2 * kChunk),
          taps(kept + 2 * kKept),
          bias(reinterpret_cast<float*>(taps + kTaps)) {}
  };

  static RETOUCHD_KERNEL void expand(const Thread& t, const Arguments& arguments, const Walk& walk, const Memory& memory) {
    const Map& map = arguments.map;
    T* input = memory.input;
    T* coming = input + kInput;
    if (walk.slot < walk.tiles) Input::load(t, input, arguments.in, map, walk.place_of(map, walk.slot));
    t.close_copies();
    t.wait_for_copies<0>();
    t.sync();
    for (int tile = walk.slot; tile < walk.tiles; tile += walk.slots) {
      const TilePlace place = walk.place_of(map, tile);
      if (tile + walk.slots < walk.tiles) Input::load(t, coming, arguments.in, map, walk.place_of(map, tile + walk.slots));
      t.close_copies();
      Input::normalise(t, input, arguments.norm);
      t.sync();
      RETOUCHD_NO_UNROLL
      for (int part = 0; part < 3; ++part) {
        const float* const bias = memory.bias + part * kChannels;
        const auto result_of = [bias](float sum, int /*pixel*/, int channel) { return sum + bias[channel]; };
        Input::template expand<kChannels, float, kInChannels>(t, input, memory.weight + part * kChannels * Input::kPitch,
                                                              result_of, map, place, memory.chunk + part % 2 * kChunk);
        if (part == 2) t.wait_for_copies<0>();
        t.sync();
      }
      T* const done = input;
      input = coming;
      coming = done;
    }
    RETOUCHD_UNROLL
    for (int i = 0; i < Tile::kStoreBarriers; ++i) t.sync();
  }

  static RETOUCHD_KERNEL void sum_up(const Thread& t, const Arguments& arguments, const Walk& walk, const Memory& memory) {
    const Map& map = arguments.map;
    const auto share = Tile::share_of(t);
    const auto taps_of = [&](int part) { return load_taps(memory.taps + part * 9 * kChannels + share.channel, kChannels); };
    typename Tile::Sums sums;
    t.close_copies();
    t.wait_for_copies<0>();
    t.sync();
    for (int tile = walk.slot;; tile += walk.slots) {
      if (tile != walk.slot) {
        Tile::store_values(share, memory.chunk, Tile::kPitch, taps_of(2), map, walk.place_of(map, tile - walk.slots), arguments.v,
                           arguments.heads * kChannels, walk.head * kChannels);
      }
      if (tile < walk.tiles) t.sync();
      if (tile != walk.slot) Tile::multiply_tile(t, memory.kept, memory.kept + kKept, sums);
      if (tile >= walk.tiles) break;
      t.sync();
      RETOUCHD_NO_UNROLL
      for (int part = 0; part < 2; ++part) {
        const Pair squares = Tile::keep(share, memory.chunk + part * kChunk, Tile::kPitch, taps_of(part), map,
                                        walk.place_of(map, tile), memory.kept + part * kKept);
        Tile::add_squares(squares, part == 0, sums);
        t.sync();
      }
    }
    Tile::store(t, share, sums, reinterpret_cast<float*>(t.shared()),
                Tile::target_of(arguments.sums, walk.picture, walk.slot, walk.head, arguments.heads));
  }
};

/// Bytes of shared memory that a block takes, whatever the heads; 0: there is no kernel for so many channels.
constexpr std::size_t qkv_gram_shared(int channels) {
  return channels == 48    ? QkvGramKernel<Half, 48, 48>::kShared
         : channels == 96  ? QkvGramKernel<Half, 96, 96>::kShared
         : channels == 192 ? QkvGramKernel<Half, 192, 48>::kShared
                           : 0;
}

template <typename T, int kInChannels, int kHeadChannels, typename Launcher>
Outcome launch_qkv_gram(const QkvGramCall& call, const Launcher& launcher) {
  using Kernel = QkvGramKernel<T, kInChannels, kHeadChannels>;
  if (launcher.shared_memory() < Kernel::kShared) return "qkv_gram: the device has too little shared memory";
  return launcher.template run<Kernel>(
      call.sums.slots * call.heads, call.map.pictures,
      {call.map, call.heads, call.norm, static_cast<const T*>(call.in), static_cast<const T*>(call.weight), call.bias,
       static_cast<const T*>(call.depthwise), static_cast<T*>(call.v), call.sums});
}

template <typename T, typename Launcher>
Outcome choose_qkv_gram(const QkvGramCall& call, const Launcher& launcher) {
  switch (call.channels) {
    case 48:
      return launch_qkv_gram<T, 48, 48>(call, launcher);
    case 96:
      return call.heads == 1 ? launch_qkv_gram<T, 96, 96>(call, launcher) : launch_qkv_gram<T, 96, 48>(call, launcher);
    case 192:
      return launch_qkv_gram<T, 192, 48>(call, launcher);
    default:
      return "qkv_gram: there is no kernel for this number of channels";
  }
}

template <typename Launcher>
Outcome dispatch_qkv_gram(const QkvGramCall& call, const Launcher& launcher) {
  if (const Outcome wrong = check_gram(call.map, call.channels, call.heads, call.sums)) return wrong;
  if (call.in == nullptr || call.weight == nullptr || call.depthwise == nullptr || call.v == nullptr)
    return "qkv_gram: a tensor is missing";
  if (call.in == call.v) return "qkv_gram: v may not be the input";
  return call.number == Number::kHalf ? choose_qkv_gram<Half>(call, launcher) : choose_qkv_gram<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
