retouchd_unit_tests(base error_test.cpp file_test.cpp http_client_test.cpp picture_suffixes_test.cpp ulid_test.cpp units_test.cpp LIBS retouchd_base)
