retouchd_unit_tests(queue
  bounded_queue_test.cpp
  claim_order_test.cpp
  fair_lanes_test.cpp
  file_placement_test.cpp
  job_recovery_test.cpp
  job_store_test.cpp
  kill_test.cpp
  memory_ledger_test.cpp
  publisher_test.cpp
  state_lock_test.cpp
  store_faults_test.cpp
  store_scale_test.cpp
  tile_scheduler_test.cpp
  LIBS retouchd_queue SQLite::SQLite3 nlohmann_json::nlohmann_json)
