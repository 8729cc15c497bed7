#pragma once

#include "inference/kernels/gram_tile.h"

namespace retouchd::kernels {

/// Step 3 of the ladder: the depthwise 3x3 of qkv and, of q and k, only the sums that channel attention needs.
///
/// A block has one head of one slot: it walks over the tiles slot, slot + slots, ... with the sums in registers. q, k and v of a
/// tile come one after the other, with their borders, by async copies into buffers in turn: while one is convolved the next ones
/// arrive. q and k stay in shared memory as 16-bit numbers until k is done, then tensor cores multiply them, and v is stored.
///
/// Device memory, per pixel and channel: 6 bytes are read (8.4 or 9.4 with the borders, which neighbouring blocks read at about
/// the same time, so that they should meet in the L2 cache), 2 are written; nothing else that grows with the picture.
/// Shared memory: heads of 48 channels (tiles 8x16) 70 KiB with two buffers and 90 KiB with three, one of 96 (8x8) 72 and 92 KiB.
///
/// Not measured. The count of bytes and that of instructions (fp32 of the depthwise convolution, most of all) come out within a
/// third of each other on an H200, so that either may bound it.
template <typename T, int kHeadChannels, int kBufferCount>
struct DepthwiseGramKernel {
  struct Arguments {
    Map map;
    int heads;
    const T* qkv;
    const T* weight;
    T* v;
    GramSums sums;
  };

  static constexpr int kThreads = 192;
  static constexpr int kBlocksPerMultiprocessor = 2;
  static constexpr int kBuffers = kBufferCount;

  using Tile = GramTile<T, kHeadChannels, 8, kHeadChannels == 48 ? 16 : 8, kThreads>;
  static constexpr int kColumns = Tile::kWidth + 2;
  static constexpr int kInputPixels = (Tile::kHeight + 2) * kColumns;
  static constexpr int kInput = kInputPixels * Tile::kPitch;  // numbers of a buffer
  static constexpr int kTaps = 27 * Tile::kChannels;
  static constexpr std::size_t kShared = Tile::kBytes + sizeof(T) * (kBuffers * kInput + kTaps);
  static_assert(Tile::kStoreBytes <= kShared);

  static RETOUCHD_KERNEL void run(const Thread& t, const Arguments& arguments) {
    T* const q = reinterpret_cast<T*>(t.shared());
    T* const k = q + Tile::kPixels * Tile::kPitch;
    T* const taps = k + Tile::kPixels * Tile::kPitch;
    T* const buffers = taps + kTaps;
    const Map& map = arguments.map;
    const int head = t.block_x() % arguments.heads;
    const int slot = t.block_x() / arguments.heads;
    const int slots = arguments.sums.slots;
    const int picture = t.block_y();
    const int tiles = tiles_in<Tile::kHeight, Tile::kWidth>(map);
    const auto place_of = [&](int tile) { return tile_place<Tile::kHeight, Tile::kWidth>(map, picture, tile); };
    const auto share = Tile::share_of(t);
    typename Tile::Sums sums;

    copy_taps<T, Tile::kChannels, kThreads>(t, taps, arguments.weight, arguments.heads * Tile::kChannels, head);
    Stage coming{slot};
    const auto begin_next = [&] {
      if (coming.tile < tiles) load(t, buffers + coming.buffer * kInput, arguments, place_of(coming.tile), head, coming.part);
      t.close_copies();
      coming.advance(slots);
    };
    RETOUCHD_UNROLL
    for (int i = 0; i < kBuffers - 1; ++i) begin_next();
    for (Stage stage{slot}; stage.tile < tiles; stage.advance(slots)) {
      t.template wait_for_copies<kBuffers - 2>();
      t.sync();  // this part is here; the buffer before it, and before q also q and k, are no longer read
      begin_next();
      const TilePlace place = place_of(stage.tile);
      const T* const input = buffers + stage.buffer * kInput;
      const PairTaps mine = load_taps(taps + stage.part * 9 * Tile::kChannels + share.channel, Tile::kChannels);
      if (stage.part == 2) {
        Tile::store_values(share, input, Tile::kPitch, mine, map, place, arguments.v, arguments.heads * Tile::kChannels,
                           head * Tile::kChannels);
        Tile::multiply_tile(t, q, k, sums);
      } else {
        const Pair squares = Tile::keep(share, input, Tile::kPitch, mine, map, place, stage.part == 0 ? q : k);
        Tile::add_squares(squares, stage.part == 0, sums);
      }
    }
    t.wait_for_copies<0>();
    t.sync();
    Tile::store(t, share, sums, reinterpret_cast<float*>(t.shared()),
                Tile::target_of(arguments.sums, picture, slot, head, arguments.heads));
  }

 private:
  /// q, k or v of a tile, and the buffer it is copied to.
  struct Stage {
    int tile;
    int part = 0;
    int buffer = 0;

    RETOUCHD_KERNEL void advance(int slots) {
      if (++part == 3) {
        part = 0;
        tile += slots;
      }
      if (++buffer == kBuffers) buffer = 0;
    }
  };

  /// Begins to copy q, k or v of a tile with its border, zeros for what is outside of the picture.
  static RETOUCHD_KERNEL void load(const Thread& t, T* to, const Arguments& arguments, const TilePlace& place, int head,
                                   int part) {
    constexpr int kVectors = Tile::kChannels / 8;
    const Map& map = arguments.map;
    const int channels = arguments.heads * Tile::kChannels;
    const T* const from = arguments.qkv + part * channels + head * Tile::kChannels;
    const std::int64_t first_row = static_cast<std::int64_t>(place.picture) * map.height;
    RETOUCHD_NO_UNROLL
    for (int i = t.index(); i < kInputPixels * kVectors; i += kThreads) {
      const int pixel = i / kVectors;
      const int channel = i % kVectors * 8;
      const int y = place.top - 1 + pixel / kColumns;
      const int x = place.left - 1 + pixel % kColumns;
      const bool inside = y >= 0 && y < map.height && x >= 0 && x < map.width;
      const T* const address = inside ? from + ((first_row + y) * map.width + x) * 3 * channels + channel : from;
      t.copy(to + pixel * Tile::kPitch + channel, address, inside);
    }
  }
};

template <typename T, int kHeadChannels, int kBuffers, typename Launcher>
Outcome launch_depthwise_gram(const DepthwiseGramCall& call, const Launcher& launcher) {
  return launcher.template run<DepthwiseGramKernel<T, kHeadChannels, kBuffers>>(
      call.sums.slots * call.heads, call.map.pictures,
      {call.map, call.heads, static_cast<const T*>(call.qkv), static_cast<const T*>(call.weight), static_cast<T*>(call.v),
       call.sums});
}

/// Three buffers where a multiprocessor has room for two such blocks, or for one of either kind.
template <typename T, int kHeadChannels, typename Launcher>
Outcome choose_depthwise_gram(const DepthwiseGramCall& call, const Launcher& launcher) {
  constexpr std::size_t kTwo = 2 * DepthwiseGramKernel<T, kHeadChannels, 2>::kShared;
  constexpr std::size_t kThree = 2 * DepthwiseGramKernel<T, kHeadChannels, 3>::kShared;
  const std::size_t there = launcher.shared_memory();
  return there >= kThree || there < kTwo ? launch_depthwise_gram<T, kHeadChannels, 3>(call, launcher)
                                         : launch_depthwise_gram<T, kHeadChannels, 2>(call, launcher);
}

template <typename T, typename Launcher>
Outcome dispatch_depthwise_gram_of(const DepthwiseGramCall& call, const Launcher& launcher) {
  return call.channels == 48 * call.heads ? choose_depthwise_gram<T, 48>(call, launcher)
                                          : choose_depthwise_gram<T, 96>(call, launcher);
}

template <typename Launcher>
Outcome dispatch_depthwise_gram(const DepthwiseGramCall& call, const Launcher& launcher) {
  if (const Outcome wrong = check_gram(call.map, call.channels, call.heads, call.sums)) return wrong;
  if (call.channels > 384) return "depthwise_gram: more than 384 channels";
  if (call.qkv == nullptr || call.weight == nullptr || call.v == nullptr) return "depthwise_gram: a tensor is missing";
  return call.number == Number::kHalf ? dispatch_depthwise_gram_of<Half>(call, launcher)
                                      : dispatch_depthwise_gram_of<Bfloat16>(call, launcher);
}

}  // namespace retouchd::kernels
