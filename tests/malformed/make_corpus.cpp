// Writes broken picture files, the same for the same seed:
//
//   make_corpus FOLDER --count 10000 --seed 1     damaged ones of every format, with bombs and strangers among them
//   make_corpus FOLDER --seeds                    the small valid files that they are made of; fuzzers start from them
//   make_corpus FOLDER --bombs                    small files that ask for very much, and some that are large themselves
//
// A name tells what is in it: 00042.jpeg-progressive.cut.jpg.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "tests/malformed/bombs.h"
#include "tests/malformed/damage.h"
#include "tests/malformed/seeds.h"

namespace retouchd::malformed {
namespace {

namespace fs = std::filesystem;

void write(const fs::path& path, const image::ByteVector& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write {}", path.string()));
}

void write_seeds(const fs::path& folder) {
  for (const Seed& seed : make_seeds()) {
    fs::create_directories(folder / name_of(seed.format));
    write(folder / name_of(seed.format) / fmt::format("{}{}", seed.name, suffix_of(seed.format)), seed.file);
  }
  fs::create_directories(folder / "metadata");
  for (const Seed& seed : make_metadata_seeds()) write(folder / "metadata" / seed.name, seed.file);
}

void write_bombs(const fs::path& folder) {
  for (const auto& bombs : {make_bombs(), make_large_bombs()})
    for (const Bomb& bomb : bombs) write(folder / (bomb.name + bomb.suffix), bomb.file);
}

/// Formats take turns, whatever the number of their seeds: a program that reads nine formats is as good as the worst of them.
void write_damaged(const fs::path& folder, int count, std::uint64_t seed) {
  std::vector<std::vector<Seed>> formats;
  for (Seed& one : make_seeds()) {
    if (formats.empty() || formats.back().front().format != one.format) {
      const auto same =
          std::find_if(formats.begin(), formats.end(), [&](const auto& list) { return list.front().format == one.format; });
      if (same != formats.end()) {
        same->push_back(std::move(one));
        continue;
      }
      formats.emplace_back();
    }
    formats.back().push_back(std::move(one));
  }
  std::vector<Bomb> others = make_bombs();
  for (Bomb& stranger : make_strangers()) others.push_back(std::move(stranger));

  Random random(seed);
  constexpr int kOthersEvery = 25;
  for (int i = 0; i < count; ++i) {
    if (i % kOthersEvery == kOthersEvery - 1) {
      const Bomb& other = others[static_cast<std::size_t>(i / kOthersEvery) % others.size()];
      write(folder / fmt::format("{:05}.{}{}", i, other.name, other.suffix), other.file);
      continue;
    }
    const std::vector<Seed>& format = formats[static_cast<std::size_t>(i) % formats.size()];
    const Seed& from = format[random() % format.size()];
    const Damaged damaged = damage(from.file, random);
    write(folder / fmt::format("{:05}.{}.{}{}", i, from.name, damaged.how, suffix_of(from.format)), damaged.file);
  }
}

int run(int argc, char** argv) {
  CLI::App app{"Writes broken picture files, the same for the same seed"};
  std::string folder;
  int count = 1000;
  std::uint64_t seed = 1;
  bool only_seeds = false;
  bool only_bombs = false;
  app.add_option("FOLDER", folder, "Where to; made if need be")->required();
  app.add_option("--count", count, "Damaged files");
  app.add_option("--seed", seed, "Of the damage");
  app.add_flag("--seeds", only_seeds, "Only the valid files, in a folder for each format");
  app.add_flag("--bombs", only_bombs, "Only files that ask for very much");
  CLI11_PARSE(app, argc, argv);
  try {
    fs::create_directories(folder);
    only_seeds ? write_seeds(folder) : only_bombs ? write_bombs(folder) : write_damaged(folder, count, seed);
  } catch (const std::exception& thrown) {
    std::cerr << "make_corpus: " << thrown.what() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace retouchd::malformed

int main(int argc, char** argv) { return retouchd::malformed::run(argc, argv); }
