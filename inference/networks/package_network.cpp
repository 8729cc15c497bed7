#include "inference/networks/package_network.h"

#include <ATen/Functions.h>
#include <dlfcn.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include "inference/networks/layers.h"

namespace retouchd::inference {
namespace {

/// Checks and turns what a module returned.
at::Tensor result_of(const NetworkInfo& info, const at::Tensor& output, const at::Tensor& input) {
  const std::vector<std::int64_t> expected{input.size(0), info.output_channels(), input.size(1) * info.scale,
                                           input.size(2) * info.scale};
  TORCH_CHECK(output.sizes() == at::IntArrayRef(expected), "the module returned ", output.sizes(),
              " where its manifest promises ", at::IntArrayRef(expected));
  return to_nhwc(output.to(at::kFloat));
}

/// [N, H, W, C] -> the arguments of a module.
std::vector<at::Tensor> arguments_of(const NetworkInfo& info, const at::Tensor& input) {
  const at::Tensor planes = to_nchw(input);
  if (info.companion == Companion::kNone) return {planes.contiguous()};
  return {planes.narrow(1, 0, info.channels).contiguous(),
          planes.narrow(1, info.channels, info.input_channels() - info.channels).contiguous()};
}

class ScriptedNetwork final : public TorchNetwork {
 public:
  ScriptedNetwork(NetworkInfo info, torch::jit::Module module) : info_(std::move(info)), module_(std::move(module)) {}

  at::Tensor forward(const at::Tensor& input) const override {
    std::vector<c10::IValue> arguments;
    for (at::Tensor& argument : arguments_of(info_, input)) arguments.emplace_back(std::move(argument));
    const c10::IValue output = module_.get_method("forward")(std::move(arguments));
    TORCH_CHECK(output.isTensor(), "the module returned a ", output.tagKind(), " where a tensor is expected");
    return result_of(info_, output.toTensor(), input);
  }
  bool may_be_recorded() const override { return false; }

 private:
  const NetworkInfo info_;
  const torch::jit::Module module_;
};

/// Compiled packages ask for libtorch.so by that name, from a temporary folder: only a loaded one is found. (On a CPU
/// installation scripts/setup makes one without content, as PyTorch's own would ask for CUDA's libraries.)
void provide_libtorch() { static const auto* const loaded [[maybe_unused]] = ::dlopen("libtorch.so", RTLD_NOW | RTLD_GLOBAL); }

/// The package has as many runners as there are calls at once, and lets those wait that find none; weights exist once.
class CompiledNetwork final : public TorchNetwork {
 public:
  CompiledNetwork(NetworkInfo info, const std::filesystem::path& file, const ForwardOptions& options)
      : info_(std::move(info)),
        package_(file.string(), "model", /*run_single_threaded=*/false, static_cast<std::size_t>(options.calls),
                 options.device.index()) {}

  at::Tensor forward(const at::Tensor& input) const override {
    const auto outputs = package_.run(arguments_of(info_, input));
    TORCH_CHECK(outputs.size() == 1, "the package returned ", outputs.size(), " tensors where one is expected");
    return result_of(info_, outputs.front(), input);
  }
  bool may_be_recorded() const override { return false; }

 private:
  const NetworkInfo info_;
  mutable torch::inductor::AOTIModelPackageLoader package_;
};

std::unique_ptr<TorchNetwork> open_inductor(const NetworkInfo& info, const std::filesystem::path& file,
                                            const ForwardOptions& options) {
  provide_libtorch();
  return std::make_unique<CompiledNetwork>(info, file, options);
}

std::unique_ptr<TorchNetwork> open_script(const NetworkInfo& info, const std::filesystem::path& file,
                                          const ForwardOptions& options) {
  auto module = torch::jit::load(file.string(), options.device);
  module.eval();
  return std::make_unique<ScriptedNetwork>(info, std::move(module));
}

/// Calls `open`; what it throws is kBadWeights.
template <class Open>
Result<std::unique_ptr<TorchNetwork>> guarded(const std::filesystem::path& file, const Open& open) {
  const auto bad = [&file](const std::string& reason) {
    return make_error(ErrorCode::kBadWeights, file.string() + " cannot be opened: " + reason);
  };
  try {
    return open();
  } catch (const c10::Error& error) {
    return bad(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return bad(error.what());
  }
}

}  // namespace

Result<std::unique_ptr<TorchNetwork>> open_package(const NetworkInfo& info, const ForwardOptions& options) {
  return guarded(info.weights, [&] {
    return info.architecture == "aotinductor" ? open_inductor(info, info.weights, options)
                                              : open_script(info, info.weights, options);
  });
}

Result<std::unique_ptr<TorchNetwork>> open_compiled(const NetworkInfo& info, const CompiledPackage& package,
                                                    const ForwardOptions& options) {
  if (package.compiler != "tensorrt") return guarded(package.file, [&] { return open_inductor(info, package.file, options); });
  if (::dlopen(package.runtime.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return make_error(ErrorCode::kBadWeights, package.file.string() + " needs TensorRT's runtime, which was at " +
                                                  package.runtime.string() + " when it was made: " + ::dlerror());
  }
  return guarded(package.file, [&] { return open_script(info, package.file, options); });
}

}  // namespace retouchd::inference
