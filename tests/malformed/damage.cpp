#include "tests/malformed/damage.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "tests/malformed/layout.h"

namespace retouchd::malformed {
namespace {

using image::ByteSpan;
using image::ByteVector;

constexpr std::size_t kLargest = 1U << 20;  // doubling blocks again and again ends here

class Damager {
 public:
  Damager(ByteSpan file, Random& random) : file_(file.begin(), file.end()), random_(random) {}

  std::string_view once() {
    const Layout layout = layout_of(file_);
    const std::uint64_t dice = below(100);
    if (dice < 45 && !layout.fields.empty()) return change_field(layout);
    if (dice < 52 && !layout.fields.empty()) return change_table(layout);
    if (dice < 62) return cut(layout);
    if (dice < 72) return change_blocks(layout);
    if (dice < 86) return flip_bits();
    if (dice < 95) return overwrite_run();
    return append_noise();
  }

  ByteVector take() { return std::move(file_); }

 private:
  std::uint64_t below(std::uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  std::ptrdiff_t place(std::size_t at) { return static_cast<std::ptrdiff_t>(at); }

  template <class T>
  const T& one_of(const std::vector<T>& from) {
    return from[below(from.size())];
  }

  std::uint64_t get(const Field& field) const {
    std::uint64_t value = 0;
    for (int i = 0; i < field.size; ++i)
      value = value << 8 | file_[field.at + static_cast<std::size_t>(field.is_little ? field.size - 1 - i : i)];
    return value;
  }
  void put(const Field& field, std::uint64_t value) {
    for (int i = 0; i < field.size; ++i, value >>= 8)
      file_[field.at + static_cast<std::size_t>(field.is_little ? i : field.size - 1 - i)] = static_cast<std::uint8_t>(value);
  }

  std::string_view change_field(const Layout& layout) {
    const Field& field = one_of(layout.fields);
    const std::uint64_t most = field.size == 8 ? ~0ULL : (1ULL << (8 * field.size)) - 1;
    const std::uint64_t old = get(field);
    switch (below(12)) {
      case 0:
        put(field, 0);
        return "zero";
      case 1:
        put(field, most);
        return "most";
      case 2:
        put(field, most >> 1);
        return "half";
      case 3:
        put(field, (most >> 1) + 1);
        return "sign";
      case 4:
        put(field, old + 1);
        return "more";
      case 5:
        put(field, old - 1);
        return "less";
      case 6:
        put(field, old << (1 + below(7)));
        return "times";
      case 7:
        put(field, file_.size() + below(3) - 1);
        return "size";
      case 8:
        put(field, one_of(layout.borders));  // a directory that is its own child, a strip on top of a header
        return "offset";
      case 9:
        put(field, get(one_of(layout.fields)));
        return "exchanged";
      case 10:
        put(field, field.at);
        return "itself";
      default:
        put(field, random_());
        return "random";
    }
  }

  /// Several fields beside each other: Huffman counts, tables of contents.
  std::string_view change_table(const Layout& layout) {
    const std::size_t first = below(layout.fields.size());
    const std::size_t count = 1 + below(16);
    const bool is_constant = below(2) == 0;
    const std::uint64_t value = random_();
    for (std::size_t i = first; i < std::min(first + count, layout.fields.size()); ++i)
      put(layout.fields[i], is_constant ? value : random_());
    return "table";
  }

  std::string_view cut(const Layout& layout) {
    std::size_t end = 0;
    switch (below(4)) {
      case 0:
        end = one_of(layout.borders);
        break;
      case 1:
        end = one_of(layout.borders) + below(9) - std::min<std::size_t>(4, below(5));
        break;
      case 2:
        end = file_.size() - std::min<std::size_t>(file_.size(), 1 + below(16));
        break;
      default:
        end = below(file_.size() + 1);
    }
    file_.resize(std::min(end, file_.size()));
    return "cut";
  }

  std::string_view change_blocks(const Layout& layout) {
    std::size_t begin = one_of(layout.borders);
    std::size_t end = one_of(layout.borders);
    if (begin > end) std::swap(begin, end);
    end = std::min(end, file_.size());
    begin = std::min(begin, end);
    const ByteVector block(file_.begin() + place(begin), file_.begin() + place(end));
    switch (below(4)) {
      case 0: {
        const std::size_t times = std::min<std::size_t>(1 + below(3), kLargest / (file_.size() + 1));
        for (std::size_t i = 0; i < times; ++i) file_.insert(file_.begin() + place(end), block.begin(), block.end());
        return "doubled";
      }
      case 1:
        file_.erase(file_.begin() + place(begin), file_.begin() + place(end));
        return "lost";
      case 2: {
        file_.erase(file_.begin() + place(begin), file_.begin() + place(end));
        const std::size_t to = std::min(one_of(layout.borders), file_.size());
        file_.insert(file_.begin() + place(to), block.begin(), block.end());
        return "moved";
      }
      default: {
        const std::size_t count = 1 + below(64);
        ByteVector noise(count);
        for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random_());
        file_.insert(file_.begin() + place(begin), noise.begin(), noise.end());
        return "inserted";
      }
    }
  }

  std::string_view flip_bits() {
    const std::uint64_t flips = 1 + below(8);
    for (std::uint64_t i = 0; i < flips && !file_.empty(); ++i)
      file_[below(below(3) == 0 ? std::min<std::size_t>(256, file_.size()) : file_.size())] ^=
          static_cast<std::uint8_t>(1U << below(8));
    return "bits";
  }

  std::string_view overwrite_run() {
    if (file_.empty()) return "run";
    constexpr std::uint8_t kValues[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    const std::size_t begin = below(file_.size());
    const std::size_t end = std::min(file_.size(), begin + 1 + below(below(4) == 0 ? 512 : 24));
    const bool is_constant = below(2) == 0;
    const std::uint8_t value = kValues[below(std::size(kValues))];
    for (std::size_t at = begin; at < end; ++at) file_[at] = is_constant ? value : static_cast<std::uint8_t>(random_());
    return "run";
  }

  std::string_view append_noise() {
    const std::uint64_t count = 1 + below(256);
    for (std::uint64_t i = 0; i < count; ++i) file_.push_back(static_cast<std::uint8_t>(random_()));
    return "appended";
  }

  ByteVector file_;
  Random& random_;
};

}  // namespace

Damaged damage(ByteSpan file, Random& random) {
  Damager damager(file, random);
  const std::uint64_t places = random() % 2 == 0 ? 1 : 1 + random() % 4;
  std::string_view how;
  for (std::uint64_t i = 0; i < places; ++i) how = damager.once();
  ByteVector damaged = damager.take();
  constexpr std::uint8_t kPng[] = {0x89, 'P', 'N', 'G'};
  if (damaged.size() > 4 && std::equal(std::begin(kPng), std::end(kPng), damaged.begin()) && random() % 8 != 0)
    repair_png(damaged);
  return {std::move(damaged), std::string(how)};
}

}  // namespace retouchd::malformed
