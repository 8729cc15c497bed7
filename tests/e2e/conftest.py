import pytest

from daemon_process import Daemon


@pytest.fixture
def make_daemon(tmp_path_factory, request):
    """make_daemon(**settings): a Daemon, not started; gone after the test, whatever happens."""
    daemons = []
    request.node.daemons = daemons

    def make(**settings):
        daemons.append(Daemon(**settings))
        return daemons[-1]

    yield make
    for daemon in daemons:
        daemon.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for daemon in getattr(item, "daemons", []):
        lines = daemon.log().splitlines()
        report.sections.append((f"log of retouchd in {daemon.home}, the last of {len(lines)} lines", "\n".join(lines[-150:])))
