retouchd_unit_tests(sandbox
  codec_pool_test.cpp description_test.cpp hostile_test.cpp ../image/heic_files.cpp ../image/sample_pictures.cpp ../image/sample_raws.cpp
  LIBS retouchd_sandbox PkgConfig::EXIV2 PkgConfig::HEIF fmt::fmt)

# The worker's own loop and jail around codecs that attack.
add_executable(hostile_codec sandbox/hostile_codec.cpp)
target_link_libraries(hostile_codec PRIVATE retouchd_compiler retouchd_sandbox)

target_compile_definitions(sandbox_test PRIVATE
  RETOUCHD_CODEC_PROGRAM="$<TARGET_FILE:retouchd-codec>" RETOUCHD_HOSTILE_CODEC="$<TARGET_FILE:hostile_codec>")
add_dependencies(sandbox_test retouchd-codec hostile_codec)
