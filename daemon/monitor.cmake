# What is seen of the daemon from outside: metrics, HTTP, the service manager.
retouchd_library(retouchd_monitor cascade_series.cpp device_series.cpp fairness.cpp http_server.cpp http_session.cpp metrics.cpp monitor_routes.cpp
  saturation.cpp service_notifier.cpp stats_json.cpp status_page.cpp)
target_link_libraries(retouchd_monitor
  PUBLIC retouchd_base retouchd_queue retouchd_stages Boost::headers Threads::Threads
  PRIVATE fmt::fmt nlohmann_json::nlohmann_json prometheus-cpp::core PkgConfig::SYSTEMD spdlog::spdlog)
