#include "sandbox/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>
#include <utility>

namespace retouchd::sandbox {
namespace {

/// Frees nothing but the share in the mapping that a plane lies in; that is how a cv::Mat owns foreign memory.
class MappedPlanes final : public cv::MatAllocator {
 public:
  cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, std::size_t* step, cv::AccessFlag flags,
                         cv::UMatUsageFlags usage) const override {
    return cv::Mat::getStdAllocator()->allocate(dims, sizes, type, data, step, flags, usage);
  }
  bool allocate(cv::UMatData* data, cv::AccessFlag flags, cv::UMatUsageFlags usage) const override {
    return cv::Mat::getStdAllocator()->allocate(data, flags, usage);
  }
  void deallocate(cv::UMatData* data) const override {
    delete static_cast<std::shared_ptr<const Mapping>*>(data->userdata);
    delete data;
  }
};

const MappedPlanes& mapped_planes() {
  static const MappedPlanes allocator;
  return allocator;
}

constexpr std::uintptr_t kPage = 4096;

/// madvise() for the whole pages that hold `part`.
bool advise(std::span<const std::uint8_t> part, int advice) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(part.data());
  const std::uintptr_t begin = address / kPage * kPage;
  return ::madvise(reinterpret_cast<void*>(begin), address + part.size() - begin, advice) == 0;  // NOLINT: an address
}

}  // namespace

Result<Mapping> Mapping::of(int fd, std::uint64_t size, Kind kind) {
  Mapping mapping;
  if (size == 0) return mapping;
  const int protection = kind == Kind::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags = kind == Kind::kPrivate ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
  void* address = ::mmap(nullptr, size, protection, flags, fd, 0);
  if (address == MAP_FAILED) {
    if (errno == ENOMEM) return make_error(ErrorCode::kOverMemoryBudget, "not enough address space for the picture");
    return error_from_errno(errno, "cannot map a file into memory", true);
  }
  mapping.data_ = static_cast<std::uint8_t*>(address);
  mapping.size_ = size;
  return mapping;
}

Mapping::Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

bool Mapping::contains(const void* address) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const auto begin = reinterpret_cast<std::uintptr_t>(data_);
  return data_ != nullptr && at >= begin && at - begin < size_;
}

void Mapping::expect_reads(std::span<const std::uint8_t> part) noexcept {
  if (!part.empty()) advise(part, MADV_POPULATE_READ);
}

cv::Mat SharedPlanes::make(cv::Size size, int type) {
  const std::uint64_t begin = aligned(used_);
  const std::uint64_t bytes =
      static_cast<std::uint64_t>(size.width) * static_cast<std::uint64_t>(size.height) * CV_ELEM_SIZE(type);
  if (begin > memory_.size() || bytes > memory_.size() - begin) {
    ran_out_ = true;
    throw std::bad_alloc();
  }
  const auto part = memory_.subspan(begin, bytes);
  advise(part, MADV_HUGEPAGE);
  // A fault for each page would cost more than decoding some formats. Memory that is not there shows here, not as SIGBUS.
  if (!part.empty() && !advise(part, MADV_POPULATE_WRITE) && errno != EINVAL) throw std::bad_alloc();
  used_ = begin + bytes;
  return {size, type, part.data()};
}

bool SharedPlanes::owns(const cv::Mat& plane) const noexcept {
  return plane.data >= memory_.data() && plane.data < memory_.data() + memory_.size();
}

cv::Mat plane_in(const std::shared_ptr<const Mapping>& mapping, std::uint64_t offset, cv::Size size, int type) {
  cv::Mat plane(size, type, mapping->bytes().data() + offset);
  auto* owner = new cv::UMatData(&mapped_planes());
  owner->data = owner->origdata = plane.data;
  owner->size = plane.total() * plane.elemSize();
  owner->refcount = 1;
  owner->userdata = new std::shared_ptr<const Mapping>(mapping);
  plane.u = owner;
  return plane;
}

}  // namespace retouchd::sandbox
