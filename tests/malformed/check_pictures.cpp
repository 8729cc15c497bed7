// Decodes all picture files below a folder; names those that are not whole, and ends with 1 when there are any.
//
//   check_pictures FOLDER
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <vector>

#include "base/file.h"
#include "image/codec.h"

int main(int argc, char** argv) {
  using namespace retouchd;
  namespace fs = std::filesystem;
  if (argc != 2) {
    std::cerr << "usage: check_pictures FOLDER\n";
    return 2;
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(argv[1]))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  int broken = 0;
  for (const fs::path& path : files) {
    const auto bytes = read_file(path, gibibytes(2));
    const auto picture = bytes ? image::decode(*bytes, {}) : Result<image::Picture>(bytes.error());
    if (picture) continue;
    std::cout << path.filename().string() << ": " << picture.error().message << "\n";
    ++broken;
  }
  std::cout << files.size() - static_cast<std::size_t>(broken) << " of " << files.size() << " pictures are whole\n";
  return broken == 0 ? 0 : 1;
}
