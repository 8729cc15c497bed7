#include "intake/folder_watch.h"

#include <utility>

#include "intake/folder_watch_engine.h"

namespace retouchd::intake {

FolderWatch::FolderWatch(boost::asio::io_context& io, queue::JobStore& store, const Clock& clock, config::Watch watch,
                         FolderWatchOptions options)
    : engine_(std::make_shared<FolderWatchEngine>(io, store, clock, std::move(watch), std::move(options))) {}

FolderWatch::~FolderWatch() { stop(); }

void FolderWatch::start() {
  engine_->post([](FolderWatchEngine& engine) { engine.start(); });
}

void FolderWatch::stop() { engine_->stop(); }

void FolderWatch::rescan() {
  engine_->post([](FolderWatchEngine& engine) { engine.rescan(); });
}

WatchStatus FolderWatch::status() const { return engine_->status(); }

}  // namespace retouchd::intake
