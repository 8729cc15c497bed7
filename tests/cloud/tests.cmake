retouchd_unit_tests(cloud
  breaker_test.cpp budget_test.cpp escalator_test.cpp fake_node.cpp gate_test.cpp incoming_test.cpp node_client_test.cpp
  outgoing_test.cpp retry_budget_test.cpp returned_files_test.cpp token_bucket_test.cpp ../image/sample_files.cpp ../image/sample_pictures.cpp
  LIBS retouchd_cloud PkgConfig::ZMQ nlohmann_json::nlohmann_json JPEG::JPEG PNG::PNG TIFF::TIFF PkgConfig::EXIV2 fmt::fmt)
