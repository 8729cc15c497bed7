# CUDA kernels and whatever else a GPU needs beyond LibTorch: modules that the programs open when they open a CUDA device
# (dlopen), so that one build serves machines with and without an NVIDIA driver.
#
# RETOUCHD_CUDA             AUTO: where an nvcc of CUDA 12 or newer is (CUDACXX, or PATH, /usr/local/cuda/bin, beside LibTorch);
#                           ON: demanded; OFF
# CMAKE_CUDA_ARCHITECTURES  compute capabilities; by default machine code for 8.0 (A100), 8.6 (RTX 30), 8.9 (RTX 40, L40) and 9.0
#                           (H100, H200), and PTX of 9.0, which the driver translates for what comes later
#
# Sets RETOUCHD_HAS_CUDA.

set(RETOUCHD_CUDA AUTO CACHE STRING "CUDA kernels: AUTO (where nvcc is found), ON or OFF")
set_property(CACHE RETOUCHD_CUDA PROPERTY STRINGS AUTO ON OFF)

# Sets RETOUCHD_NVCC to the first nvcc that compiles C++20 for what is asked of it here: distributions have old ones, and each knows
# host compilers up to some version only.
function(retouchd_find_nvcc)
  if(DEFINED ENV{CUDACXX})
    find_program(candidates $ENV{CUDACXX} NO_CACHE)
  else()
    find_program(on_path nvcc NO_CACHE)
    set(candidates ${on_path} /usr/local/cuda/bin/nvcc)
    foreach(libtorch ${LIBTORCH_ROOT} $ENV{LIBTORCH_ROOT} ${PROJECT_SOURCE_DIR}/.deps/libtorch)
      if(EXISTS ${libtorch})
        file(REAL_PATH ${libtorch} libtorch)
        file(GLOB beside ${libtorch}/../nvidia/cu*/bin/nvcc)
        list(APPEND candidates ${beside})
      endif()
    endforeach()
  endif()
  set(source ${PROJECT_BINARY_DIR}/CMakeFiles/try_nvcc.cu)
  file(WRITE ${source} "#include <concepts>\n#include <cuda_fp16.h>\n__global__ void nothing() {}\n")
  foreach(nvcc ${candidates})
    if(EXISTS ${nvcc})
      execute_process(COMMAND ${nvcc} -std=c++20 -arch=sm_90 -c ${source} -o ${source}.o
        RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
      if(NOT failed)
        cmake_path(NORMAL_PATH nvcc)
        set(RETOUCHD_NVCC ${nvcc} CACHE FILEPATH "CUDA's compiler" FORCE)
        return()
      endif()
      string(REGEX MATCH "[^\n]*(error|fatal|not)[^\n]*" said "${said}")
      message(STATUS "CUDA kernels: not with ${nvcc}: ${said}")
    endif()
  endforeach()
endfunction()

set(RETOUCHD_HAS_CUDA OFF)
if(RETOUCHD_CUDA STREQUAL "AUTO" AND RETOUCHD_SANITIZE)
  # nvcc's own code knows nothing of sanitizers, and a device is not what they look at.
elseif(NOT RETOUCHD_CUDA STREQUAL "OFF")
  if(NOT RETOUCHD_NVCC)
    retouchd_find_nvcc()
  endif()
  if(RETOUCHD_NVCC)
    set(RETOUCHD_HAS_CUDA ON)
  elseif(NOT RETOUCHD_CUDA STREQUAL "AUTO")
    message(FATAL_ERROR "RETOUCHD_CUDA is ${RETOUCHD_CUDA}, but no nvcc is found that works; set CUDACXX to one of CUDA 12 or newer, run RETOUCHD_LIBTORCH=cuda scripts/setup, or set RETOUCHD_CUDA=OFF")
  endif()
endif()
if(RETOUCHD_HAS_CUDA)
  message(STATUS "CUDA kernels: with ${RETOUCHD_NVCC}")
else()
  message(STATUS "CUDA kernels: none")
endif()

# Where modules lie: one folder in the build, beside LibTorch when installed. The programs find them by their RPATH.
set(RETOUCHD_MODULES ${PROJECT_BINARY_DIR}/modules)
list(APPEND CMAKE_BUILD_RPATH ${RETOUCHD_MODULES})

if(RETOUCHD_HAS_CUDA)
  # An architecture that is not named is chosen by CMake, which knows less about new compilers than about old ones.
  set(CMAKE_CUDA_ARCHITECTURES "80-real;86-real;89-real;90" CACHE STRING "Compute capabilities of CUDA kernels")
  set(CMAKE_CUDA_COMPILER ${RETOUCHD_NVCC})
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    # CMake 3.25 does not know yet that nvcc has C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  if(CCACHE_PROGRAM)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  endif()

  add_library(retouchd_cuda_compiler INTERFACE)
  # Not -Wpedantic: what nvcc makes of a kernel for the host compiler is not ISO C++ (line markers).
  target_compile_options(retouchd_cuda_compiler INTERFACE
    $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo -Xcompiler=-Wall,-Wextra,-Wshadow,-Wnon-virtual-dtor,-Wconversion,-Wno-sign-conversion>)
  if(RETOUCHD_WARNINGS_AS_ERRORS)
    target_compile_options(retouchd_cuda_compiler INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xcompiler=-Werror>)
  endif()
endif()

# retouchd_module(NAME sources...): libNAME.so, opened with dlopen; only what it exports by attribute is seen outside. Installed where it
# was built: programs do without.
function(retouchd_module name)
  add_library(${name} MODULE ${ARGN})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE retouchd_compiler)
  set_target_properties(${name} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY ${RETOUCHD_MODULES}
    CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/${PROJECT_NAME} OPTIONAL)
endfunction()

# retouchd_cuda_module(NAME sources...): the same of CUDA C++, with CUDA's runtime inside. Only where RETOUCHD_HAS_CUDA.
function(retouchd_cuda_module name)
  retouchd_module(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE retouchd_cuda_compiler)
  target_link_options(${name} PRIVATE -Wl,--no-undefined)
  set_target_properties(${name} PROPERTIES CUDA_RUNTIME_LIBRARY Static)
endfunction()
