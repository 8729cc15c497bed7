retouchd_unit_tests(kernels depthwise_gate_test.cpp depthwise_gram_test.cpp emulated_kernels_test.cpp emulator_test.cpp feed_forward_test.cpp gelu_test.cpp
  mixing_test.cpp
  pointwise_bytes_test.cpp pointwise_test.cpp
  qkv_gram_test.cpp
  LIBS retouchd_emulated_kernels)
if(RETOUCHD_HAS_CUDA)
  # The same cases on a device, where there is one.
  find_package(CUDAToolkit REQUIRED)
  target_sources(kernels_test PRIVATE kernels/device_test.cpp)
  target_link_libraries(kernels_test PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
  add_dependencies(kernels_test retouchd_kernels)
endif()
