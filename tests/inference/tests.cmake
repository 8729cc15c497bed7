retouchd_unit_tests(inference attention_windows_test.cpp drct_config_test.cpp drct_test.cpp drct_windows_test.cpp kept_blocks_test.cpp manifest_test.cpp measurements_test.cpp open_devices_test.cpp package_network_test.cpp pickle_test.cpp pixel_pool_test.cpp pth_test.cpp precision_choice_test.cpp registry_test.cpp result_rows_test.cpp restormer_config_test.cpp restormer_golden_test.cpp restormer_test.cpp rgbd_tiny_test.cpp safetensors_test.cpp simulated_device_test.cpp simulation_test.cpp
  student_tiny_test.cpp tensor_cache_test.cpp vector_kernels_test.cpp torch_device_test.cpp validation_test.cpp weight_cast_test.cpp weight_conversion_test.cpp weight_file_test.cpp
  zip_archive_test.cpp
  LIBS retouchd_inference LibTorch::LibTorch nlohmann_json::nlohmann_json)
