retouchd_unit_tests(stages canvas_test.cpp claimer_test.cpp companion_test.cpp device_gate_test.cpp device_meter_test.cpp integrity_test.cpp memory_estimate_test.cpp planner_test.cpp tile_plan_test.cpp tiled_equals_whole_test.cpp encode_target_test.cpp
  seam_meter_test.cpp tile_log_test.cpp tile_log_writer_test.cpp
  LIBS retouchd_stages)
