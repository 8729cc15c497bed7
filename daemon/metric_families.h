#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

/// How the series of metrics.cpp and device_series.cpp are made.
namespace retouchd::daemon {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
template <class T>
using Family = prometheus::Family<T>;
using Buckets = Histogram::BucketBoundaries;

inline Family<Counter>& counters(prometheus::Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildCounter().Name("retouchd_" + name).Help(help).Register(registry);
}

inline Family<Gauge>& gauges(prometheus::Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildGauge().Name("retouchd_" + name).Help(help).Register(registry);
}

inline Family<Histogram>& histograms(prometheus::Registry& registry, const std::string& name, const std::string& help) {
  return prometheus::BuildHistogram().Name("retouchd_" + name).Help(help).Register(registry);
}

}  // namespace retouchd::daemon
