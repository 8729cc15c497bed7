retouchd_unit_tests(base error_test.cpp file_test.cpp units_test.cpp LIBS retouchd_base)
