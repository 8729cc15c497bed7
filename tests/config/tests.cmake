retouchd_unit_tests(config
  changes_test.cpp checks_test.cpp endpoint_test.cpp override_test.cpp environment_test.cpp quantity_test.cpp reader_test.cpp suggestion_test.cpp
  value_test.cpp writer_test.cpp
  LIBS retouchd_config)

# The units are configuration too: understood to the last line, hardened, and in step with the defaults.
add_test(NAME systemd.unit COMMAND ${PROJECT_SOURCE_DIR}/systemd/check.sh)
set_tests_properties(systemd.unit PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
