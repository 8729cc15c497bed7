retouchd_unit_tests(cli arguments_test.cpp cells_test.cpp convert_command_test.cpp explain_text_test.cpp inputs_test.cpp keygen_command_test.cpp outcome_test.cpp run_command_test.cpp run_local_test.cpp top_layout_test.cpp
  LIBS retouchd_cli retouchd_zmq retouchd_weights)
