set(queue_tests
  file_placement_test.cpp
  job_recovery_test.cpp
  job_store_test.cpp
  kill_test.cpp
  publisher_test.cpp
  state_lock_test.cpp
  store_faults_test.cpp
  store_scale_test.cpp)
foreach(test bounded_queue_test.cpp memory_ledger_test.cpp tile_scheduler_test.cpp)
  if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/${test})
    list(APPEND queue_tests ${test})
  endif()
endforeach()
retouchd_unit_tests(queue ${queue_tests} LIBS retouchd_queue SQLite::SQLite3 nlohmann_json::nlohmann_json)
