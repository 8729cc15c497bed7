"""A real Prometheus scrapes the daemon as monitoring/ says: the series are there, the rules load, and nothing fires."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import pictures
from daemon_process import SOURCE, free_port

MONITORING = SOURCE / "monitoring"

# scripts/setup puts them beside the tests' Python where the machine has none.
PATH = f"{os.environ['PATH']}:{Path(sys.prefix) / 'bin'}"
PROMETHEUS, PROMTOOL = shutil.which("prometheus", path=PATH), shutil.which("promtool", path=PATH)

pytestmark = pytest.mark.skipif(not PROMETHEUS or not PROMTOOL, reason="there is no Prometheus (scripts/setup --tests)")

SERIES = ["retouchd_build_info", "retouchd_jobs", "retouchd_jobs_total", "retouchd_jobs_accepted_total",
          "retouchd_stage_queue_depth", "retouchd_stage_seconds_count", "retouchd_tiles_total", "retouchd_batch_tiles_count", "retouchd_device_up",
          "retouchd_memory_budget_bytes", "retouchd_process_resident_memory_bytes", "retouchd_store_commit_seconds_count",
          "retouchd_time_to_preview_seconds_count", "retouchd_job_seconds_count", "retouchd_requests_total",
          "retouchd_events_published_total", "retouchd_watch_up"]


class Prometheus:
    """Prometheus with the shipped configuration, aimed at one daemon and scraping every second."""

    def __init__(self, folder, port):
        shutil.copy(MONITORING / "alerts.yml", folder)
        config = (MONITORING / "prometheus.yml").read_text()
        config, aimed = re.subn(r"127\.0\.0\.1:9464", f"127.0.0.1:{port}", config)
        assert aimed, "monitoring/prometheus.yml names no 127.0.0.1:9464"
        config = re.sub(r"(scrape_interval|evaluation_interval): *\S+", r"\1: 1s", config)
        (folder / "prometheus.yml").write_text(config)
        subprocess.run([PROMTOOL, "check", "config", folder / "prometheus.yml"], check=True)
        self.port = free_port()
        self.log = (folder / "prometheus.log").open("w")
        self.log_file = folder / "prometheus.log"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", PROMETHEUS, f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder)

    def get(self, path, **parameters):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression):
        """The sum of the series; None when there are none (yet)."""
        try:
            result = self.get("query", query=expression)["result"]
        except (urllib.error.URLError, ConnectionError):
            assert self.process.poll() is None, self.log_file.read_text()[-3000:]
            return None
        return sum(float(series["value"][1]) for series in result) if result else None

    def rules(self):
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]

    def wait_until(self, condition, what, timeout=60):
        """Prometheus tells nobody what it scraped, so it is asked."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"it never held: {what}\n{self.log_file.read_text()[-3000:]}"
            time.sleep(0.2)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


def test_prometheus_sees_a_healthy_daemon(make_daemon, tmp_path):
    daemon = make_daemon()
    folder, restored = daemon.watch()
    daemon.start()
    events = daemon.events()
    prometheus = Prometheus(tmp_path, daemon.port)
    try:
        (folder / "a.png").write_bytes(pictures.encoded(pictures.with_noise(pictures.scene(300, 200, 1), 25, 2), ".png"))
        events.wait_for_count({"done"}, 1)
        prometheus.wait_until(lambda: prometheus.value("retouchd_jobs_total{outcome='done'}") == 1, "one job is done")
        assert prometheus.value("min(up)") == 1
        missing = [name for name in SERIES if prometheus.value(name) is None]
        assert not missing, f"no series {missing}"
        assert prometheus.value("retouchd_device_up") == 1
        assert prometheus.value("retouchd_watch_up") == 1

        prometheus.wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()), "every rule was evaluated")
        bad = [(rule["name"], rule.get("lastError")) for rule in prometheus.rules() if rule["health"] != "ok"]
        assert not bad, bad
        alerts = [rule for rule in prometheus.rules() if rule["type"] == "alerting"]
        assert alerts, "the alerts were not loaded"
        firing = [alert for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"]
        assert not firing, firing
        print(f"\n{len(alerts)} alerts loaded, none fires; {prometheus.value('scrape_samples_scraped'):.0f} series scraped in "
              f"{prometheus.value('scrape_duration_seconds') * 1000:.1f} ms")
    finally:
        prometheus.stop()
    assert restored.joinpath("a.png").exists()
