#include "image/tiff_stream.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

namespace retouchd::image {

TiffStream::TiffStream(ByteSpan file, Bytes largest_block) : input_(file) { open("rm", largest_block); }

TiffStream::TiffStream(bool is_big) : is_writing_(true) { open(is_big ? "w8" : "w", Bytes{0}); }

TiffStream::~TiffStream() {
  if (tiff_ != nullptr) TIFFClose(tiff_);
}

void TiffStream::open(const char* mode, Bytes largest_block) {
  const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
  if (!options) return;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<tmsize_t>::max());
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(std::min(largest_block.value, kMost)));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), complain, this);
  TIFFOpenOptionsSetWarningHandlerExtR(
      options.get(), [](TIFF*, void*, const char*, const char*, va_list) { return 1; }, nullptr);
  tiff_ = TIFFClientOpenExt(
      "picture", mode, this, read, write, seek, [](thandle_t) { return 0; }, size, [](thandle_t, void**, toff_t*) { return 0; },
      [](thandle_t, void*, toff_t) {}, options.get());
}

ByteVector TiffStream::finish() {
  const bool is_written = tiff_ != nullptr && TIFFFlush(tiff_) != 0;
  if (tiff_ != nullptr) TIFFClose(std::exchange(tiff_, nullptr));
  if (!is_written || is_out_of_memory_) return {};
  return std::move(output_);
}

tmsize_t TiffStream::read(thandle_t self, void* to, tmsize_t count) {
  auto* stream = static_cast<TiffStream*>(self);
  // libtiff reads back directories that it is writing.
  const ByteSpan bytes = stream->is_writing_ ? ByteSpan(stream->output_) : stream->input_;
  const std::uint64_t left = stream->at_ < bytes.size() ? bytes.size() - stream->at_ : 0;
  const auto taken = static_cast<std::size_t>(std::min(left, static_cast<std::uint64_t>(count)));
  if (taken < static_cast<std::uint64_t>(count)) stream->ran_past_end_ = true;
  if (taken > 0) std::memcpy(to, bytes.data() + stream->at_, taken);
  stream->at_ += taken;
  return static_cast<tmsize_t>(taken);
}

tmsize_t TiffStream::write(thandle_t self, void* from, tmsize_t count) {
  auto* stream = static_cast<TiffStream*>(self);
  if (!stream->is_writing_ || count <= 0) return 0;
  try {
    const std::size_t end = stream->at_ + static_cast<std::size_t>(count);
    if (end > stream->output_.size()) stream->output_.resize(end);
  } catch (const std::exception&) {
    stream->is_out_of_memory_ = true;
    return 0;
  }
  std::memcpy(stream->output_.data() + stream->at_, from, static_cast<std::size_t>(count));
  stream->at_ += static_cast<std::uint64_t>(count);
  return count;
}

toff_t TiffStream::seek(thandle_t self, toff_t offset, int whence) {
  auto* stream = static_cast<TiffStream*>(self);
  if (whence == SEEK_SET) stream->at_ = offset;
  if (whence == SEEK_CUR) stream->at_ += offset;
  if (whence == SEEK_END) stream->at_ = size(self) + offset;
  if (!stream->is_writing_ && stream->at_ > stream->input_.size()) stream->ran_past_end_ = true;
  return stream->at_;
}

toff_t TiffStream::size(thandle_t self) {
  const auto* stream = static_cast<TiffStream*>(self);
  return stream->is_writing_ ? stream->output_.size() : stream->input_.size();
}

int TiffStream::complain(TIFF* /*tiff*/, void* self, const char* /*module*/, const char* format, va_list arguments) {
  auto* stream = static_cast<TiffStream*>(self);
  if (!stream->complaint_.empty()) return 1;
  char text[200];
  std::vsnprintf(text, sizeof text, format, arguments);
  try {
    stream->complaint_ = text;
  } catch (const std::exception&) {
    stream->is_out_of_memory_ = true;
  }
  return 1;
}

}  // namespace retouchd::image
