list(APPEND INTAKE_TESTS
  admission_test.cpp event_publisher_test.cpp spool_test.cpp wire_client_test.cpp wire_request_test.cpp zmq_server_test.cpp)
list(APPEND INTAKE_LIBS retouchd_zmq)
