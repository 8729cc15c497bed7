#include "inference/pixel_pool.h"

#include <memory>
#include <new>

namespace retouchd::inference {
namespace {

constexpr std::align_val_t kAlignment{64};

void* allocate_block(std::size_t bytes) { return ::operator new(bytes, kAlignment); }
void free_block(void* block) { ::operator delete(block, kAlignment); }

}  // namespace

PixelPool::PixelPool() : blocks_({&allocate_block, &free_block}) {}

PixelPool& PixelPool::instance() {
  static auto* pool = new PixelPool;  // pictures may outlive every static object
  return *pool;
}

cv::Mat PixelPool::picture(cv::Size size, int type) {
  cv::Mat picture;
  picture.allocator = this;
  picture.create(size, type);
  return picture;
}

cv::UMatData* PixelPool::allocate(int dims, const int* sizes, int type, void* data, std::size_t* step, cv::AccessFlag,
                                  cv::UMatUsageFlags) const {
  CV_Assert(data == nullptr);  // asked for when somebody else's memory becomes a cv::UMat, which nobody does
  std::size_t bytes = CV_ELEM_SIZE(type);
  for (int i = dims - 1; i >= 0; --i) {
    if (step != nullptr) step[i] = bytes;
    bytes *= static_cast<std::size_t>(sizes[i]);
  }
  auto header = std::make_unique<cv::UMatData>(this);
  header->data = header->origdata = static_cast<uchar*>(blocks_.take(bytes));
  header->size = bytes;
  return header.release();
}

bool PixelPool::allocate(cv::UMatData* data, cv::AccessFlag, cv::UMatUsageFlags) const { return data != nullptr; }

void PixelPool::deallocate(cv::UMatData* data) const {
  if (data == nullptr) return;
  blocks_.give_back(data->origdata, data->size);
  delete data;
}

}  // namespace retouchd::inference
