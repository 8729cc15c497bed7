# Warnings, hardening and sanitizers for our own targets, as one interface target.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(retouchd_compiler INTERFACE)
target_compile_options(retouchd_compiler INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(retouchd_compiler INTERFACE -Wno-restrict)  # false alarms on "text" + std::string (GCC bug 105329)
endif()
target_compile_definitions(retouchd_compiler INTERFACE _GLIBCXX_ASSERTIONS SPDLOG_FMT_EXTERNAL)
if(RETOUCHD_WARNINGS_AS_ERRORS)
  target_compile_options(retouchd_compiler INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(retouchd_compiler INTERFACE -Wthread-safety)
endif()

if(RETOUCHD_SANITIZE)
  add_compile_options(-fsanitize=${RETOUCHD_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${RETOUCHD_SANITIZE})
  if(RETOUCHD_SANITIZE STREQUAL "thread")
    # Asio's fences are unknown to TSan (chriskohlhoff/asio#1193).
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
    add_compile_options(-Wno-tsan)
  endif()
endif()

# retouchd_library(NAME sources...): a static library of this folder with our settings.
function(retouchd_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE retouchd_compiler)
endfunction()
