# LibTorch as the imported target LibTorch::LibTorch, and LibTorch::Cuda for what uses its CUDA headers, where it has CUDA.
#
# The CMake package inside PyPI's wheel insists on a CUDA toolkit, so the targets are defined here.
# Looked for in LIBTORCH_ROOT (cache or environment: a folder with include/ and lib/), then where scripts/setup puts it.

set(_libtorch_hints ${LIBTORCH_ROOT} $ENV{LIBTORCH_ROOT} ${PROJECT_SOURCE_DIR}/.deps/libtorch)
find_path(LIBTORCH_INCLUDE_DIR torch/script.h HINTS ${_libtorch_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(LIBTORCH_CPU_LIBRARY torch_cpu HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_LIBRARY c10 HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)

# 2.8 moved the version into headeronly/.
foreach(_header headeronly/version.h csrc/api/include/torch/version.h)
  if(LIBTORCH_INCLUDE_DIR AND NOT LibTorch_VERSION AND EXISTS ${LIBTORCH_INCLUDE_DIR}/torch/${_header})
    file(STRINGS ${LIBTORCH_INCLUDE_DIR}/torch/${_header} _version_lines REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
    string(REGEX MATCHALL "[0-9]+" _version_numbers "${_version_lines}")
    list(JOIN _version_numbers "." LibTorch_VERSION)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LIBTORCH_CPU_LIBRARY LIBTORCH_C10_LIBRARY LIBTORCH_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup, or set LIBTORCH_ROOT to an unpacked LibTorch (include/ and lib/).")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  cmake_path(GET LIBTORCH_CPU_LIBRARY PARENT_PATH LIBTORCH_LIB_DIR)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE
    ${LIBTORCH_INCLUDE_DIR} ${LIBTORCH_INCLUDE_DIR}/torch/csrc/api/include)
  # The CUDA libraries that a CPU installation leaves out stay unresolved on purpose.
  target_link_libraries(LibTorch::LibTorch INTERFACE ${LIBTORCH_CPU_LIBRARY} ${LIBTORCH_C10_LIBRARY} Threads::Threads)
  target_link_options(LibTorch::LibTorch INTERFACE -Wl,--allow-shlib-undefined)
endif()

# CUDA's own headers lie beside the wheel, or in a toolkit; the runtime itself is the one that LibTorch brings.
find_library(LIBTORCH_CUDA_LIBRARY torch_cuda HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10_CUDA_LIBRARY c10_cuda HINTS ${_libtorch_hints} PATH_SUFFIXES lib NO_DEFAULT_PATH)
if(LIBTORCH_LIB_DIR)
  file(REAL_PATH ${LIBTORCH_LIB_DIR} _libtorch_libraries)
  file(GLOB _cuda_includes ${_libtorch_libraries}/../../nvidia/cu*/include)
endif()
find_path(LIBTORCH_CUDA_RUNTIME_INCLUDE_DIR cuda_runtime_api.h HINTS ${_cuda_includes} PATHS /usr/local/cuda/include)
find_path(LIBTORCH_CUDA_CRT_INCLUDE_DIR crt/host_defines.h
  HINTS ${LIBTORCH_CUDA_RUNTIME_INCLUDE_DIR} ${_cuda_includes} PATHS /usr/local/cuda/include)
if(LibTorch_FOUND AND LIBTORCH_CUDA_LIBRARY AND LIBTORCH_C10_CUDA_LIBRARY AND LIBTORCH_CUDA_RUNTIME_INCLUDE_DIR AND LIBTORCH_CUDA_CRT_INCLUDE_DIR
   AND EXISTS ${LIBTORCH_INCLUDE_DIR}/c10/cuda/CUDACachingAllocator.h AND NOT TARGET LibTorch::Cuda)
  add_library(LibTorch::Cuda INTERFACE IMPORTED)
  target_include_directories(LibTorch::Cuda SYSTEM INTERFACE ${LIBTORCH_CUDA_RUNTIME_INCLUDE_DIR} ${LIBTORCH_CUDA_CRT_INCLUDE_DIR})
  target_link_libraries(LibTorch::Cuda INTERFACE ${LIBTORCH_CUDA_LIBRARY} ${LIBTORCH_C10_CUDA_LIBRARY} LibTorch::LibTorch)
endif()
