list(APPEND INTAKE_TESTS
  admission_test.cpp client_list_test.cpp event_publisher_test.cpp guest_server_test.cpp job_json_test.cpp key_file_test.cpp
  spool_test.cpp uploads_test.cpp wire_client_test.cpp wire_request_test.cpp zmq_server_test.cpp)
list(APPEND INTAKE_LIBS retouchd_zmq)
