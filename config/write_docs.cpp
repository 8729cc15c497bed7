// config_docs <repository>: writes the two files that follow from the tables of keys.

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "config/writer.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: config_docs <repository>\n", stderr);
    return 2;
  }
  const std::filesystem::path root = argv[1];
  std::ofstream example(root / "config/retouchd.example.yaml", std::ios::trunc);
  example << retouchd::config::example_config() << std::flush;
  std::ofstream page(root / "docs/configuration.md", std::ios::trunc);
  page << retouchd::config::configuration_page() << std::flush;
  if (!example || !page) {
    std::fprintf(stderr, "config_docs: cannot write below %s\n", root.c_str());
    return 1;
  }
  return 0;
}
