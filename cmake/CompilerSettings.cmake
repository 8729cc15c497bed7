# Warnings, hardening and sanitizers for our own targets, as one interface target.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(retouchd_compiler INTERFACE)
# nvcc understands none of this; Cuda.cmake has what it gets.
set(_for_c $<COMPILE_LANGUAGE:C,CXX>)
set(_warnings -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND _warnings -Wno-restrict)  # false alarms on "text" + std::string (GCC bug 105329)
endif()
if(RETOUCHD_WARNINGS_AS_ERRORS)
  list(APPEND _warnings -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND _warnings -Wthread-safety)
endif()
target_compile_options(retouchd_compiler INTERFACE "$<${_for_c}:${_warnings}>")
target_compile_definitions(retouchd_compiler INTERFACE _GLIBCXX_ASSERTIONS SPDLOG_FMT_EXTERNAL)

if(RETOUCHD_SANITIZE)
  add_compile_options("$<${_for_c}:-fsanitize=${RETOUCHD_SANITIZE};-fno-omit-frame-pointer;-g>")
  add_link_options(-fsanitize=${RETOUCHD_SANITIZE})
  if(RETOUCHD_SANITIZE STREQUAL "thread")
    # Asio's fences are unknown to TSan (chriskohlhoff/asio#1193).
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    add_compile_options("$<${_for_c}:-Wno-tsan>")
  endif()
endif()

# retouchd_library(NAME sources...): a static library of this folder with our settings.
function(retouchd_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE retouchd_compiler)
endfunction()
