set(daemon_tests
  calibrate_tool_test.cpp
  cascade_pipeline_test.cpp
  cascade_series_test.cpp
  escalation_test.cpp
  fairness_test.cpp
  http_server_test.cpp
  lossless_pipeline_test.cpp
  metrics_test.cpp
  monitor_routes_test.cpp
  monitoring_names_test.cpp
  pipeline_test.cpp
  saturation_test.cpp
  service_notifier_test.cpp
  stats_json_test.cpp)
set(daemon_test_libs retouchd_service nlohmann_json::nlohmann_json)
retouchd_unit_tests(daemon ${daemon_tests} LIBS ${daemon_test_libs})

# The Prometheus files, by promtool; skipped where it is missing (scripts/setup --tests fetches it).
foreach(part config rules alerts dashboard)
  add_test(NAME monitoring.${part} COMMAND ${PROJECT_SOURCE_DIR}/monitoring/check.sh ${part})
  set_tests_properties(monitoring.${part} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
endforeach()

# The cost model of the cascade tests itself: pictures in are pictures out, no line is busier than all the time.
add_test(NAME bench.cascade_model COMMAND python3 ${PROJECT_SOURCE_DIR}/bench/cascade_model.py --check)
set_tests_properties(bench.cascade_model PROPERTIES TIMEOUT 120)
