#include "cli/convert_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include "base/clock.h"
#include "inference/weights/weight_conversion.h"

namespace retouchd::cli {
namespace {

inference::ConversionRequest request_of(const Arguments& arguments) {
  inference::ConversionRequest request;
  request.source = arguments.source;
  request.target = arguments.output;
  if (arguments.dtype != "keep") {
    request.dtype = arguments.dtype;
    std::transform(request.dtype.begin(), request.dtype.end(), request.dtype.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  }
  request.task = arguments.task;
  request.license = arguments.license;
  request.tool = "retouch " RETOUCHD_VERSION;
  request.when = system_clock().now();
  request.overwrite = arguments.overwrite;
  return request;
}

/// Tensors by the type of their numbers.
std::map<std::string, std::size_t> count_types(const inference::WeightHeader& header) {
  std::map<std::string, std::size_t> types;
  for (const auto& [name, entry] : header.tensors) ++types[entry.dtype];
  return types;
}

nlohmann::json to_json(const Arguments& arguments, const inference::ConversionReport& report) {
  return {{"source", arguments.source},
          {"output", arguments.output},
          {"source_format", to_string(report.source_format)},
          {"tensors", report.header.tensors.size()},
          {"parameters", report.header.elements()},
          {"bytes", report.size.value},
          {"types", count_types(report.header)},
          {"left_out", report.left_out},
          {"metadata", report.header.metadata}};
}

void tell(const Arguments& arguments, const inference::ConversionReport& report, Console& console) {
  std::string types;
  for (const auto& [type, count] : count_types(report.header))
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  console.line(fmt::format("{}: {} tensors ({}), {} parameters, {}; from {}", arguments.output, report.header.tensors.size(),
                           types, report.header.elements(), to_string(report.size), to_string(report.source_format)));
  if (!report.left_out.empty()) {
    console.line(fmt::format("  left out {}, which networks compute themselves: {}",
                             report.left_out.size() == 1 ? "1 buffer" : fmt::format("{} buffers", report.left_out.size()),
                             fmt::join(report.left_out, ", ")));
  }
  if (!report.header.metadata.contains("task")) {
    console.note("what these weights are for cannot be seen in them; say it with --task (denoise, deblur, derain, ...)");
  }
}

}  // namespace

int convert_command(const Arguments& arguments, Console& console) {
  const auto report = inference::convert_weights(request_of(arguments));
  if (!report) {
    console.complain(report.error());
    return traits_of(report.error().code).exit_code;
  }
  if (console.json()) {
    console.object(to_json(arguments, *report));
  } else {
    tell(arguments, *report, console);
  }
  return 0;
}

}  // namespace retouchd::cli
