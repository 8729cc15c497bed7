# Requests and events over ZeroMQ.
retouchd_library(retouchd_zmq
  admission.cpp client_list.cpp event_publisher.cpp guest_rules.cpp guest_server.cpp job_json.cpp spool.cpp uploads.cpp
  zap_handler.cpp zmq_endpoint.cpp zmq_feed.cpp zmq_loop.cpp zmq_operations.cpp zmq_outbox.cpp zmq_server.cpp zmq_worker.cpp)
target_link_libraries(retouchd_zmq
  PUBLIC retouchd_wire retouchd_queue retouchd_config nlohmann_json::nlohmann_json PkgConfig::ZMQ Threads::Threads
  PRIVATE spdlog::spdlog)
