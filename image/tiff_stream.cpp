#include "image/tiff_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

namespace retouchd::image {
namespace {

const char* mode_of(TiffStream::Mode mode) noexcept {
  switch (mode) {
    case TiffStream::Mode::kNew:
      return "w4";
    case TiffStream::Mode::kNewBig:
      return "w8";
    case TiffStream::Mode::kUpdate:
      return "r+";
  }
  return "w";
}

}  // namespace

TiffStream::TiffStream(ByteSpan file, Bytes largest_block) : input_(file) { open("r", largest_block); }

TiffStream::TiffStream(OutputFile& file, Mode mode) : output_(&file) { open(mode_of(mode), Bytes{0}); }

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
      "picture", mode, this, read, write, seek, [](thandle_t) { return 0; }, size, map, [](thandle_t, void*, toff_t) {},
      options.get());
}

Error TiffStream::reading_error(std::string_view what) const {
  if (ran_past_end_) return make_error(ErrorCode::kTruncatedPicture, fmt::format("the TIFF ends early: {}", complaint_));
  return make_error(ErrorCode::kCorruptPicture, fmt::format("{}: {}", what, complaint_.empty() ? "no reason given" : complaint_));
}

bool TiffStream::finish() {
  const bool is_written = tiff_ != nullptr && TIFFFlush(tiff_) != 0;
  if (tiff_ != nullptr) TIFFClose(std::exchange(tiff_, nullptr));
  return is_written && !output_->failed();
}

tmsize_t TiffStream::read(thandle_t self, void* to, tmsize_t count) {
  auto* stream = static_cast<TiffStream*>(self);
  if (count <= 0) return 0;
  const auto wanted = static_cast<std::size_t>(count);
  std::size_t taken = 0;
  if (stream->output_ != nullptr) {  // libtiff reads back what it is writing
    taken = stream->output_->read_at(stream->at_, {static_cast<std::uint8_t*>(to), wanted});
  } else if (stream->at_ < stream->input_.size()) {
    taken = std::min<std::size_t>(stream->input_.size() - stream->at_, wanted);
    std::memcpy(to, stream->input_.data() + stream->at_, taken);
  }
  if (taken < wanted) stream->ran_past_end_ = true;
  stream->at_ += taken;
  return static_cast<tmsize_t>(taken);
}

tmsize_t TiffStream::write(thandle_t self, void* from, tmsize_t count) {
  auto* stream = static_cast<TiffStream*>(self);
  if (stream->output_ == nullptr || count <= 0) return 0;
  const auto length = static_cast<std::size_t>(count);
  if (!stream->output_->write_at(stream->at_, {static_cast<const std::uint8_t*>(from), length})) return 0;
  stream->at_ += length;
  return count;
}

toff_t TiffStream::seek(thandle_t self, toff_t offset, int whence) {
  auto* stream = static_cast<TiffStream*>(self);
  if (whence == SEEK_SET) stream->at_ = offset;
  if (whence == SEEK_CUR) stream->at_ += offset;
  if (whence == SEEK_END) stream->at_ = size(self) + offset;
  if (stream->output_ == nullptr && stream->at_ > stream->input_.size()) stream->ran_past_end_ = true;
  return stream->at_;
}

toff_t TiffStream::size(thandle_t self) {
  const auto* stream = static_cast<TiffStream*>(self);
  return stream->output_ != nullptr ? stream->output_->size() : stream->input_.size();
}

int TiffStream::map(thandle_t self, void** base, toff_t* size) {
  const auto* stream = static_cast<TiffStream*>(self);
  if (stream->output_ != nullptr) return 0;
  *base = const_cast<std::uint8_t*>(stream->input_.data());  // libtiff only reads there
  *size = stream->input_.size();
  return 1;
}

int TiffStream::complain(TIFF* /*tiff*/, void* self, const char* /*module*/, const char* format, va_list arguments) {
  auto* stream = static_cast<TiffStream*>(self);
  if (!stream->complaint_.empty()) return 1;
  char text[200];
  std::vsnprintf(text, sizeof text, format, arguments);
  try {
    stream->complaint_ = text;
  } catch (const std::exception&) {
    return 1;  // out of memory: it stays without a reason
  }
  return 1;
}

}  // namespace retouchd::image
