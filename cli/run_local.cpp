#include "cli/run_local.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace retouchd::cli {

namespace fs = std::filesystem;

std::vector<std::string> daemon_words(const Arguments& arguments, const std::string& program) {
  if (arguments.command != "run") {
    std::vector<std::string> words{program, arguments.command};
    words.insert(words.end(), arguments.passed_on.begin(), arguments.passed_on.end());
    if (arguments.json) words.emplace_back("--json");
    if (!arguments.connect.config.empty()) words.insert(words.end(), {"--config", arguments.connect.config});
    return words;
  }
  std::vector<std::string> words{program, "--run"};
  words.insert(words.end(), arguments.files.begin(), arguments.files.end());
  words.insert(words.end(), {"--output", arguments.output});
  if (arguments.json) words.emplace_back("--json");
  if (!arguments.network.empty()) words.insert(words.end(), {"--network", arguments.network});
  if (!arguments.connect.config.empty()) words.insert(words.end(), {"--config", arguments.connect.config});
  return words;
}

std::string find_daemon(const fs::path& own) {
  for (const auto& candidate : {own.parent_path() / "retouchd", own.parent_path().parent_path() / "daemon" / "retouchd"}) {
    std::error_code ignored;
    if (fs::is_regular_file(candidate, ignored) && ::access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return "retouchd";
}

int run_local(const Arguments& arguments, Console& console) {
  std::error_code ignored;
  auto words = daemon_words(arguments, find_daemon(fs::read_symlink("/proc/self/exe", ignored)));
  std::vector<char*> pointers;
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::setenv("OMP_WAIT_POLICY", "passive", 0);  // what it would start itself anew for (daemon/process_tuning.h)
  ::execvp(pointers[0], pointers.data());
  const Error error = make_error(ErrorCode::kUnreachable, "cannot start " + words[0] + ": " + std::strerror(errno));
  console.complain(error);
  return traits_of(error.code).exit_code;
}

}  // namespace retouchd::cli
