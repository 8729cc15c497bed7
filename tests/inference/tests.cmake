retouchd_unit_tests(inference registry_test.cpp safetensors_test.cpp student_tiny_test.cpp tensor_cache_test.cpp
  LIBS retouchd_inference LibTorch::LibTorch nlohmann_json::nlohmann_json)
