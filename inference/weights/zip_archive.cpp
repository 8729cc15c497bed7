#include "inference/weights/zip_archive.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "inference/weights/malformed_weights.h"

namespace retouchd::inference {
namespace {

constexpr std::uint64_t kEndSize = 22;
constexpr std::uint64_t kLocatorSize = 20;
constexpr std::uint64_t kEnd64Size = 56;
constexpr std::uint64_t kLocalSize = 30;
constexpr std::uint64_t kMaxEntries = 200'000;
constexpr std::uint64_t kMaxDirectory = 64U << 20U;
constexpr std::uint32_t kFull32 = 0xffffffff;

struct Directory {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t entries = 0;
};

/// One record of the central directory.
struct Record {
  std::string name;
  std::uint64_t flags = 0;
  std::uint64_t method = 0;
  std::uint64_t packed_size = 0;
  std::uint64_t size = 0;
  std::uint64_t local_header = 0;
};

void expect(bool holds, const char* reason) {
  if (!holds) throw MalformedWeights(std::string("its zip directory is damaged: ") + reason);
}

Directory find_directory(const ByteSource& source) {
  const std::uint64_t size = source.size();
  expect(size >= kEndSize, "the end is missing");
  ByteCursor end(source, size - kEndSize, size);
  expect(end.little_endian(4) == 0x06054b50, "the end is missing; the file was probably cut short");
  expect(end.little_endian(2) == 0 && end.little_endian(2) == 0, "several disks");
  Directory directory;
  directory.entries = end.little_endian(2);
  expect(end.little_endian(2) == directory.entries, "several disks");
  const std::uint64_t length = end.little_endian(4);
  directory.begin = end.little_endian(4);
  expect(end.little_endian(2) == 0, "it has a comment");
  directory.end = directory.begin + length;

  if (size >= kEndSize + kLocatorSize + kEnd64Size) {
    ByteCursor locator(source, size - kEndSize - kLocatorSize, size - kEndSize);
    if (locator.little_endian(4) == 0x07064b50) {
      const std::uint64_t at = size - kEndSize - kLocatorSize - kEnd64Size;
      expect(locator.little_endian(4) == 0 && locator.little_endian(8) == at && locator.little_endian(4) == 1, "zip64 locator");
      ByteCursor end64(source, at, at + kEnd64Size);
      expect(end64.little_endian(4) == 0x06064b50 && end64.little_endian(8) == kEnd64Size - 12, "zip64 end");
      end64.skip(4);  // versions
      expect(end64.little_endian(8) == 0, "several disks");
      directory.entries = end64.little_endian(8);
      expect(end64.little_endian(8) == directory.entries, "several disks");
      const std::uint64_t length64 = end64.little_endian(8);
      directory.begin = end64.little_endian(8);
      expect(directory.begin <= at && length64 == at - directory.begin, "it is not where the zip64 end says");
      directory.end = at;
      return directory;
    }
  }
  expect(directory.end == size - kEndSize, "it is not where the end says");
  return directory;
}

/// Sizes and offsets that do not fit 32 bits are in the extra field 1, only those, in this order.
void read_zip64(ByteCursor& cursor, std::uint64_t length, Record& record) {
  expect(length <= cursor.remaining(), "an extra field is cut short");
  const std::uint64_t end = cursor.position() + length;
  while (end - cursor.position() >= 4) {
    const std::uint64_t kind = cursor.little_endian(2);
    std::uint64_t left = cursor.little_endian(2);
    expect(left <= end - cursor.position(), "an extra field is cut short");
    if (kind == 1) {
      for (std::uint64_t* value : {&record.size, &record.packed_size, &record.local_header}) {
        if (*value != kFull32) continue;
        expect(left >= 8, "a zip64 field is cut short");
        *value = cursor.little_endian(8);
        left -= 8;
      }
    }
    cursor.skip(left);
  }
  cursor.skip(end - cursor.position());
}

Record read_record(ByteCursor& cursor) {
  Record record;
  expect(cursor.little_endian(4) == 0x02014b50, "an entry has no signature");
  cursor.skip(4);  // versions
  record.flags = cursor.little_endian(2);
  record.method = cursor.little_endian(2);
  cursor.skip(8);  // time, date, CRC
  record.packed_size = cursor.little_endian(4);
  record.size = cursor.little_endian(4);
  const std::uint64_t name_length = cursor.little_endian(2);
  const std::uint64_t extra_length = cursor.little_endian(2);
  const std::uint64_t comment_length = cursor.little_endian(2);
  expect(cursor.little_endian(2) == 0, "several disks");
  cursor.skip(6);  // attributes
  record.local_header = cursor.little_endian(4);
  record.name = cursor.text(name_length);
  read_zip64(cursor, extra_length, record);
  cursor.skip(comment_length);
  return record;
}

/// Where the data begins. The local header must belong to the record; its sizes may be zero (descriptors).
std::uint64_t find_data(const ByteSource& source, const Record& record, std::uint64_t directory) {
  const std::uint64_t header_size = kLocalSize + record.name.size();
  expect(record.local_header <= directory && header_size <= directory - record.local_header, "an entry lies outside");
  ByteCursor local(source, record.local_header, record.local_header + header_size);
  expect(local.little_endian(4) == 0x04034b50, "an entry has no local header");
  local.skip(22);
  const std::uint64_t name_length = local.little_endian(2);
  const std::uint64_t extra_length = local.little_endian(2);
  expect(name_length == record.name.size() && local.text(name_length) == record.name, "an entry has two names");
  const std::uint64_t left = directory - record.local_header - header_size;
  expect(extra_length <= left && record.packed_size <= left - extra_length, "an entry reaches into it");
  return record.local_header + header_size + extra_length;
}

}  // namespace

ZipArchive ZipArchive::open(const ByteSource& source) {
  const Directory directory = find_directory(source);
  expect(directory.begin <= directory.end && directory.end - directory.begin <= kMaxDirectory && directory.entries <= kMaxEntries,
         "it is too large");
  ZipArchive archive;
  ByteCursor cursor(source, directory.begin, directory.end);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const Record record = read_record(cursor);
    const bool compressed = record.method != 0 || (record.flags & 1U) != 0;
    expect(compressed || record.size == record.packed_size, "an entry has two sizes");
    const std::uint64_t offset = find_data(source, record, directory.begin);
    ranges.emplace_back(record.local_header, offset + record.packed_size);
    expect(archive.entries_.emplace(record.name, Entry{offset, record.size, compressed}).second, "two entries have one name");
  }
  expect(cursor.remaining() == 0, "it has bytes that belong to no entry");
  std::sort(ranges.begin(), ranges.end());
  const auto overlap = std::adjacent_find(ranges.begin(), ranges.end(), [](auto a, auto b) { return b.first < a.second; });
  expect(overlap == ranges.end(), "entries overlap");
  return archive;
}

const ZipArchive::Entry& ZipArchive::stored(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) throw MalformedWeights("the archive has no `" + name + "`");
  if (found->second.compressed) {
    throw MalformedWeights("`" + name + "` is compressed or encrypted, which torch.save never does; save the file again with it");
  }
  return found->second;
}

}  // namespace retouchd::inference
