retouchd_unit_tests(stages calibration_test.cpp canvas_test.cpp claimer_test.cpp companion_test.cpp device_gate_test.cpp device_meter_test.cpp gain_predictor_test.cpp integrity_test.cpp memory_estimate_test.cpp picture_passes_test.cpp planner_test.cpp route_policy_test.cpp tile_plan_test.cpp tiled_equals_whole_test.cpp encode_target_test.cpp
  score_quality_test.cpp seam_meter_test.cpp small_pass_test.cpp ../image/sample_profiles.cpp tile_log_test.cpp tile_log_writer_test.cpp
  LIBS retouchd_stages PkgConfig::LCMS2 retouchd_generated nlohmann_json::nlohmann_json)
