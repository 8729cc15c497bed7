retouchd_unit_tests(stages canvas_test.cpp companion_test.cpp device_gate_test.cpp memory_estimate_test.cpp planner_test.cpp tile_plan_test.cpp tiled_equals_whole_test.cpp encode_target_test.cpp
  LIBS retouchd_stages)
