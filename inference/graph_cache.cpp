#include "inference/graph_cache.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <exception>

#include "inference/device_log.h"

namespace retouchd::inference {
namespace {

std::string sizes_text(at::IntArrayRef sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

/// The name within NetworkInfo::id().
std::string name_in(const std::string& network) { return network.substr(0, network.find('@')); }

/// Whether `b` is `a` within `tolerance` of a's largest number; numbers that are not finite must be the same ones.
bool are_close(const at::Tensor& a, const at::Tensor& b, double tolerance) {
  if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
  const double largest = at::nan_to_num(a, 0.0, 0.0, 0.0).abs().max().item<double>();
  return at::allclose(b, a, 0.0, tolerance * std::max(1.0, largest), true);
}

}  // namespace

GraphCache::GraphCache(std::string device, std::unique_ptr<GraphBackend> backend, const Limits& limits)
    : device_(std::move(device)), backend_(std::move(backend)), limits_(limits) {}

at::Tensor GraphCache::run(const std::string& network, const at::Tensor& input, const Forward& forward) {
  if (gave_up_ || refused_.contains(network)) return forward(input);
  ++clock_;
  Shape& shape = shape_of(network, input);
  shape.last_used = clock_;
  if (shape.recorded) return shape.recorded->replay(input);
  at::Tensor result = forward(input);
  if (++shape.runs >= limits_.runs && make_room()) record(shape, input, result, forward);
  return result;
}

GraphCache::Shape& GraphCache::shape_of(const std::string& network, const at::Tensor& input) {
  const auto found = std::find_if(shapes_.begin(), shapes_.end(), [&](const Shape& shape) {
    return shape.network == network && at::IntArrayRef(shape.sizes) == input.sizes();
  });
  if (found != shapes_.end()) {
    shapes_.splice(shapes_.begin(), shapes_, found);
    return shapes_.front();
  }
  if (shapes_.size() >= limits_.shapes) {
    const auto oldest = std::find_if(shapes_.rbegin(), shapes_.rend(), [](const Shape& shape) { return !shape.recorded; });
    if (oldest != shapes_.rend()) shapes_.erase(std::next(oldest).base());
  }
  shapes_.push_front({network, input.sizes().vec(), 0, clock_, nullptr});
  return shapes_.front();
}

bool GraphCache::make_room() {
  const auto recorded = [](const Shape& shape) { return shape.recorded != nullptr; };
  if (static_cast<std::size_t>(std::count_if(shapes_.begin(), shapes_.end(), recorded)) < limits_.passes) return true;
  const auto idlest = std::find_if(shapes_.rbegin(), shapes_.rend(), recorded);
  if (idlest == shapes_.rend() || clock_ - idlest->last_used < limits_.idle_runs) return false;
  idlest->recorded.reset();
  idlest->runs = 0;
  count_held();
  return true;
}

void GraphCache::record(Shape& shape, const at::Tensor& input, const at::Tensor& result, const Forward& forward) {
  try {
    auto recorded = backend_->record(input, forward);
    if (!are_close(result, recorded->replay(input), limits_.tolerance))
      return refuse(shape.network, "its recorded pass computes something else");
    shape.recorded = std::move(recorded);
    count_held();
    log_of_device("recorded network " + name_in(shape.network) + " for batches of " + sizes_text(shape.sizes) + " on " + device_ +
                  "; recorded passes take " + to_string(held()));
  } catch (const c10::OutOfMemoryError&) {
    const std::string network = shape.network;
    release();
    refuse(network, "its recorded pass does not fit into memory beside the rest");
  } catch (const c10::Error& error) {
    refuse(shape.network, error.what_without_backtrace());
  } catch (const std::exception& error) {
    refuse(shape.network, error.what());
  }
}

// By value: what names it is often the shape that goes.
void GraphCache::refuse(std::string network, const std::string& reason) {
  forget(network);
  warn_of_device("network " + name_in(network) + " runs without CUDA graphs on " + device_ + ", which may be slower: " + reason);
  refused_.insert(std::move(network));
}

void GraphCache::forget(const std::string& network) {
  refused_.erase(network);
  shapes_.remove_if([&](const Shape& shape) { return shape.network == network; });
  count_held();
}

void GraphCache::release() {
  shapes_.clear();
  count_held();
}

void GraphCache::give_up(const std::string& reason) {
  release();
  if (gave_up_) return;
  gave_up_ = true;
  warn_of_device(device_ + " goes on without CUDA graphs, which may be slower: " + reason +
                 "; smaller tiles or batches leave room for them");
}

void GraphCache::count_held() noexcept {
  std::uint64_t sum = 0;
  for (const Shape& shape : shapes_) sum += shape.recorded ? shape.recorded->held().value : 0;
  held_.store(sum, std::memory_order_relaxed);
}

}  // namespace retouchd::inference
