# zmq.cmake appends the tests of the sockets.
set(INTAKE_TESTS
  failure_report_test.cpp folder_watch_pairs_test.cpp folder_watch_test.cpp hook_runner_test.cpp ignore_rules_test.cpp originals_test.cpp
  pair_waits_test.cpp pairing_test.cpp path_filter_test.cpp scan_plan_test.cpp settle_tracker_test.cpp tree_scan_test.cpp
  watch_set_test.cpp webhook_delivery_test.cpp webhook_sender_test.cpp webhook_signature_test.cpp)
set(INTAKE_LIBS retouchd_watch retouchd_callbacks)
include(${CMAKE_CURRENT_LIST_DIR}/zmq.cmake OPTIONAL)
retouchd_unit_tests(intake ${INTAKE_TESTS} LIBS ${INTAKE_LIBS})
