#include "inference/weights/pickle.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "inference/weights/malformed_weights.h"

namespace retouchd::inference {
namespace {

using Kind = PickleValue::Kind;

constexpr ValueId kNothing = std::numeric_limits<ValueId>::max();
constexpr std::size_t kMaxName = 256;
constexpr std::size_t kMaxArguments = 16;

PickleGlobal known_global(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, PickleGlobal>, 6> kKnown{
      {{"collections.OrderedDict", PickleGlobal::kOrderedDict},
       {"torch.Size", PickleGlobal::kSize},
       {"torch._utils._rebuild_tensor", PickleGlobal::kRebuildTensor},
       {"torch._utils._rebuild_tensor_v2", PickleGlobal::kRebuildTensor},
       {"torch._utils._rebuild_parameter", PickleGlobal::kRebuildParameter},
       {"torch._utils._rebuild_parameter_with_state", PickleGlobal::kRebuildParameter}}};
  const auto* found = std::find_if(kKnown.begin(), kKnown.end(), [name](const auto& known) { return known.first == name; });
  return found != kKnown.end() ? found->second : PickleGlobal::kOther;
}

class PickleMachine {
 public:
  PickleMachine(ByteCursor& cursor, const PickleLimits& limits) : cursor_(cursor), limits_(limits), begin_(cursor.position()) {}

  PickleTree run() {
    if (cursor_.byte() != 0x80) throw MalformedWeights("it holds no pickle of protocol 2");
    if (const auto protocol = cursor_.byte(); protocol != 2) {
      throw MalformedWeights("it is written with pickle protocol " + std::to_string(protocol) +
                             "; save it again with torch.save's default, 2");
    }
    for (std::uint8_t opcode = cursor_.byte(); opcode != '.'; opcode = cursor_.byte()) {
      step(opcode);
      if (cursor_.position() - begin_ > limits_.bytes) throw MalformedWeights("its pickle is too long");
    }
    tree_.root = pop();
    if (!stack_.empty() || !marks_.empty()) throw malformed("values are left over");
    return std::move(tree_);
  }

 private:
  [[nodiscard]] MalformedWeights malformed(const std::string& reason) const {
    return MalformedWeights("its pickle is damaged at byte " + std::to_string(cursor_.position() - begin_) + ": " + reason);
  }

  void step(std::uint8_t opcode) {
    switch (opcode) {
      case '(':
        return mark();
      case ')':
        return push({.kind = Kind::kTuple});
      case ']':
        return push({.kind = Kind::kList});
      case '}':
        return push({.kind = Kind::kDict});
      case 'N':
        return push({.kind = Kind::kNone});
      case 0x88:
        return push({.kind = Kind::kBool, .integer = 1});
      case 0x89:
        return push({.kind = Kind::kBool, .integer = 0});
      case 'J':
        return push_integer(static_cast<std::int32_t>(cursor_.little_endian(4)));
      case 'K':
        return push_integer(static_cast<std::int64_t>(cursor_.little_endian(1)));
      case 'M':
        return push_integer(static_cast<std::int64_t>(cursor_.little_endian(2)));
      case 0x8a:
        return push_long(cursor_.byte());
      case 'G':
        return push_opaque(8, "float");
      case 'X':
      case 'T':
        return push_text(cursor_.little_endian(4));
      case 'U':
        return push_text(cursor_.byte());
      case 'c':
        return push_global();
      case 't':
        return push_tuple(pop_to_mark());
      case 0x85:
        return push_tuple(pop_many(1));
      case 0x86:
        return push_tuple(pop_many(2));
      case 0x87:
        return push_tuple(pop_many(3));
      case 'a':
        return extend(pop_many(1), Kind::kList);
      case 'e':
        return extend(pop_to_mark(), Kind::kList);
      case 's':
        return extend(pop_many(2), Kind::kDict);
      case 'u':
        return extend(pop_to_mark(), Kind::kDict);
      case 'Q':
        return push_holder({.kind = Kind::kPersistent, .items = {pop()}});
      case 'q':
        return put(cursor_.byte());
      case 'r':
        return put(cursor_.little_endian(4));
      case 'h':
        return get(cursor_.byte());
      case 'j':
        return get(cursor_.little_endian(4));
      case 'R':
        return call();
      case 0x81:
        return make_object();
      case 'b':
        return build();
      default:
        throw malformed("opcode " + std::to_string(opcode) + " does not occur in weight files");
    }
  }

  void push(PickleValue value) {
    if (tree_.values.size() >= limits_.values) throw MalformedWeights("its pickle has too many values");
    stack_.push_back(static_cast<ValueId>(tree_.values.size()));
    tree_.values.push_back(std::move(value));
  }

  void push_integer(std::int64_t value) { push({.kind = Kind::kInteger, .integer = value}); }

  void push_opaque(std::uint64_t skipped, std::string what) {
    cursor_.skip(skipped);
    push({.kind = Kind::kOpaque, .text = std::move(what)});
  }

  /// Two's complement, as short as possible; longer ones than 64 bits are nothing that we need.
  void push_long(unsigned length) {
    if (length > 8) return push_opaque(length, "int");
    std::uint64_t value = cursor_.little_endian(length);
    if (length > 0 && length < 8 && (value >> (8 * length - 1)) != 0) value |= ~std::uint64_t{0} << (8 * length);
    push_integer(static_cast<std::int64_t>(value));
  }

  void push_text(std::uint64_t length) {
    if (length > limits_.text) return push_opaque(length, "str");
    push({.kind = Kind::kText, .text = cursor_.text(length)});
  }

  void push_global() {
    std::string name = cursor_.line(kMaxName);
    name += '.';
    name += cursor_.line(kMaxName);
    const auto global = known_global(name);
    push({.kind = Kind::kGlobal, .global = global, .text = std::move(name)});
  }

  void push_tuple(std::vector<ValueId> items) { push_holder({.kind = Kind::kTuple, .items = std::move(items)}); }

  void push_holder(PickleValue value) {
    note_depth(value, value.items);
    push(std::move(value));
  }

  void note_depth(PickleValue& holder, const std::vector<ValueId>& items) const {
    std::size_t depth = holder.depth;
    for (const ValueId item : items) depth = std::max<std::size_t>(depth, tree_[item].depth + 1U);
    if (depth > limits_.depth) throw malformed("values are nested too deeply");
    holder.depth = static_cast<std::uint8_t>(depth);
  }

  void mark() {
    if (marks_.size() >= limits_.depth) throw malformed("values are nested too deeply");
    marks_.push_back(stack_.size());
  }

  /// Values above the last mark.
  [[nodiscard]] std::size_t available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  std::vector<ValueId> pop_many(std::size_t count) {
    if (available() < count) throw malformed("a value is missing");
    std::vector<ValueId> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  std::vector<ValueId> pop_to_mark() {
    if (marks_.empty()) throw malformed("a mark is missing");
    auto items = pop_many(available());
    marks_.pop_back();
    return items;
  }

  ValueId pop() {
    if (available() == 0) throw malformed("a value is missing");
    const ValueId value = stack_.back();
    stack_.pop_back();
    return value;
  }

  PickleValue& top() {
    if (available() == 0) throw malformed("a value is missing");
    return tree_.values[stack_.back()];
  }

  /// Appends to a list, or keys and values to a dictionary; lost on other objects.
  void extend(const std::vector<ValueId>& items, Kind kind) {
    if (kind == Kind::kDict && items.size() % 2 != 0) throw malformed("a key has no value");
    PickleValue& target = top();
    if (target.kind == Kind::kOpaque || target.kind == Kind::kCall) return;
    if (target.kind != kind) throw malformed("items are given to what cannot hold them");
    note_depth(target, items);
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  /// Picklers number from 0 (Python 3) or 1 (Python 2) without holes; other numbers would only make the table large.
  void put(std::uint64_t id) {
    static_cast<void>(top());
    if (id > memo_.size() + 1) throw malformed("memo number " + std::to_string(id) + " is out of order");
    if (id >= memo_.size()) memo_.resize(id + 1, kNothing);
    memo_[id] = stack_.back();
  }

  void get(std::uint64_t id) {
    if (id >= memo_.size() || memo_[id] == kNothing) throw malformed("memo number " + std::to_string(id) + " is not set");
    stack_.push_back(memo_[id]);
  }

  void call() {
    const ValueId arguments = pop();
    const PickleValue callee = tree_[pop()];
    if (tree_[arguments].kind != Kind::kTuple) throw malformed("a call has no arguments");
    const auto& items = tree_[arguments].items;
    if (callee.kind != Kind::kGlobal || callee.global == PickleGlobal::kOther) return push_opaque(0, callee.text);
    if (items.size() > kMaxArguments) throw malformed("a call has too many arguments");  // they are copied
    if (callee.global != PickleGlobal::kOrderedDict) {
      return push_holder({.kind = Kind::kCall, .global = callee.global, .items = items});
    }
    if (!items.empty()) return push_opaque(0, callee.text);
    push({.kind = Kind::kDict});
  }

  void make_object() {
    pop();
    push_opaque(0, tree_[pop()].text);
  }

  /// State of an object, such as the `_metadata` of an OrderedDict, is dropped.
  void build() {
    pop();
    static_cast<void>(top());
  }

  ByteCursor& cursor_;
  const PickleLimits& limits_;
  const std::uint64_t begin_;
  PickleTree tree_;
  std::vector<ValueId> stack_;
  std::vector<std::size_t> marks_;
  std::vector<ValueId> memo_;
};

}  // namespace

PickleTree read_pickle(ByteCursor& cursor, const PickleLimits& limits) { return PickleMachine(cursor, limits).run(); }

}  // namespace retouchd::inference
