"""Two daemons, one of which sends its pictures to the other, and all that can break between them: nothing is lost, and nothing is
done twice."""

import random

import numpy as np
import pytest

import pictures
from cloud_nodes import MiB, assert_settled, breaker_of, kinds_of, noisy, png, result_of, submit, the_job_of, until
from cloud_nodes import cable, make, make_pair, pulled_cable, restored_here  # fixtures


# --- the line ---


def test_a_line_that_is_cut_again_and_again_costs_a_chunk_each_time(make_pair):
    pair = make_pair().start()
    client, events, proxy = pair.edge.client(), pair.edge.events(), pair.proxy
    data = png(1, 3200, 2200)
    there = pair.cloud.events()
    proxy.cut(after=4 * MiB, times=3)
    job = submit(pair.edge, client, "a.png", data)
    remote = there.wait(lambda event: event["kind"] == "done")["job"]
    assert proxy.cuts == 3
    proxy.cut(after=4 * MiB, times=3)
    assert events.wait_for_end(job)["kind"] == "done"
    assert proxy.cuts == 6
    assert client.job(job)["decision"]["route"] == "cloud" and "fell_back" not in kinds_of(client, job)
    assert np.array_equal(result_of(pair.edge, "a.png"), noisy(1, 3200, 2200))
    assert kinds_of(pair.cloud.client(), remote).count("started") == 1 and the_job_of(pair.cloud)["state"] == "done"
    upload = (pair.cloud.home / "state").rglob("uploads/*/*")
    size = max(path.stat().st_size for path in upload)
    again = pair.edge.metric("retouchd_cloud_sent_bytes_total") - size
    print(f"{size / MiB:.1f} MiB sent; {again / MiB:.2f} MiB of it again after {proxy.cuts} cuts")
    assert again <= 3 * (MiB + 10_000) + 100_000
    assert_settled(pair.edge, 1)


def test_a_slow_line_is_no_silent_one_and_costs_nothing_twice(make_pair):
    pair = make_pair(edge={"cloud": {"silence": "3s"}}).start()
    pair.proxy.rate, pair.proxy.delay = 300_000, 0.1
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "a.png", png(1, 480, 320))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "cloud"
    assert pair.edge.metric("retouchd_cloud_sent_bytes_total") < len(png(1, 480, 320)) + 300_000
    assert pair.edge.metric("retouchd_cloud_received_bytes_total") < 1.1 * len(png(1, 480, 320)) + 50_000
    assert_settled(pair.edge, 1)


def test_a_picture_comes_home_in_time_to_meet_its_deadline(make_pair, restored_here):
    pair = make_pair(edge={"cloud": {"timeout": "5m", "silence": "2m"}})
    pair.proxy.rate = 1_000  # it would take for ever
    pair.start()
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "a.png", png(1), deadline_seconds=20)
    end = events.wait_for_end(job)
    assert end["kind"] == "done", end
    assert client.job(job)["decision"]["code"] == "deadline"
    assert np.array_equal(result_of(pair.edge, "a.png"), restored_here(png(1)))
    assert_settled(pair.edge, 1)


def test_a_line_that_is_too_slow_is_given_up(make_pair, restored_here):
    pair = make_pair(edge={"cloud": {"timeout": "6s", "silence": "30s"}})
    pair.proxy.rate, pair.proxy.delay = 50_000, 0.05
    pair.start()
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "a.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["code"] == "timeout"
    assert np.array_equal(result_of(pair.edge, "a.png"), restored_here(png(1)))
    assert 64 * 1024 < pair.proxy.sent < len(png(1)), "it was on its way"
    pair.proxy.rate = None
    job = submit(pair.edge, client, "b.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "cloud"
    assert_settled(pair.edge, 2)


def test_a_cable_that_is_pulled_for_a_moment_is_not_noticed(make_pair, pulled_cable):
    pair = make_pair(edge={"cloud": {"silence": "20s"}}, through_proxy=False, work="rate=6").start()
    client, events, there = pair.edge.client(), pair.edge.events(), pair.cloud.events()
    job = submit(pair.edge, client, "a.png", png(1))
    there.wait(lambda event: event["kind"] == "started")
    pulled_cable.pull()
    there.wait(lambda event: event["kind"] == "done")
    pulled_cable.plug_in()
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "cloud" and "fell_back" not in kinds_of(client, job)
    assert np.array_equal(result_of(pair.edge, "a.png"), noisy(1))
    assert the_job_of(pair.cloud)["state"] == "done"
    assert_settled(pair.edge, 1)


def test_while_the_cable_is_out_pictures_are_restored_here_and_then_sent_again(make_pair, pulled_cable, restored_here):
    pair = make_pair(through_proxy=False, work="rate=6").start()
    client, events, there = pair.edge.client(), pair.edge.events(), pair.cloud.events()
    first = submit(pair.edge, client, "first.png", png(1))
    there.wait(lambda event: event["kind"] == "started")
    pulled_cable.pull()
    assert events.wait_for_end(first)["kind"] == "done"
    fallen = client.job(first)["decision"]
    assert fallen["route"] == "local" and fallen["fallback"] == "local_full" and fallen["code"] == "node_away", fallen
    assert np.array_equal(result_of(pair.edge, "first.png"), restored_here(png(1)))
    text = pair.edge.retouch("explain", first, check=0).stdout
    assert "here, at full size" in text and "local_full" in text and "cloud node is away" in text, text
    assert breaker_of(pair.edge) in ("open", "half_open")
    # Nobody is waited for any more.
    second = submit(pair.edge, client, "second.png", png(2))
    assert events.wait_for_end(second)["kind"] == "done"
    assert client.job(second)["decision"]["code"] == "node_away" and "escalated" not in kinds_of(client, second)

    there.wait(lambda event: event["kind"] == "done")
    pulled_cable.plug_in()
    until(lambda: breaker_of(pair.edge) == "closed", "a closed breaker")
    third = submit(pair.edge, client, "third.png", png(3))
    assert events.wait_for_end(third)["kind"] == "done"
    assert client.job(third)["decision"]["route"] == "cloud"
    assert np.array_equal(result_of(pair.edge, "third.png"), noisy(3))
    # What the cloud made of the first one is there by now, and nobody took it.
    assert np.array_equal(result_of(pair.edge, "first.png"), restored_here(png(1)))
    assert sorted(job["state"] for job in pair.cloud.client().jobs()) == ["done", "done"]
    assert pair.edge.metric("retouchd_escalations_total", result="node_away") >= 1
    assert_settled(pair.edge, 3)


def test_the_preview_at_full_size_is_what_is_left_when_that_is_the_fallback(make_pair):
    pair = make_pair(edge={"cloud": {"silence": "1s", "fallback": "local_preview"}})
    pair.start()
    pair.proxy.stall()
    client, events = pair.edge.client(), pair.edge.events()
    for name in ("on its way.png", "at once.png"):
        job = submit(pair.edge, client, name, png(1))
        assert events.wait_for_end(job)["kind"] == "done"
        decision = client.job(job)["decision"]
        assert decision["route"] == "level" and decision["fallback"] == "local_preview" and decision["level_megapixels"] == 0.05
        assert result_of(pair.edge, name).shape == noisy(1).shape
        assert pictures.roughness(result_of(pair.edge, name)) < 0.2 * pictures.roughness(noisy(1)), "nothing small is in it"
    assert_settled(pair.edge, 2)


def test_with_queue_pictures_wait_for_the_line(make_pair):
    pair = make_pair(edge={"cloud": {"silence": "1s", "fallback": "queue"}}).start()
    pair.proxy.stall()
    client, events = pair.edge.client(), pair.edge.events()
    jobs = {number: submit(pair.edge, client, f"{number}.png", png(number)) for number in (1, 2, 3)}
    until(lambda: breaker_of(pair.edge) == "open", "an open breaker")
    for job in jobs.values():
        events.wait_for(job, "escalated")
    assert {client.job(job)["state"] for job in jobs.values()} == {"escalated"}
    # Nobody waits for those that wait.
    assert events.wait_for_end(submit(pair.edge, client, "at home.png", png(4), policy="local"))["kind"] == "done"
    pair.edge.kill()
    pair.edge.start()
    client = pair.edge.client()
    assert {client.job(job)["state"] for job in jobs.values()} == {"escalated"}
    pair.proxy.flow()
    for number, job in jobs.items():
        until(lambda: client.job(job)["state"] == "done", f"the end of job {job}")
        assert np.array_equal(result_of(pair.edge, f"{number}.png"), noisy(number))
        assert client.job(job)["decision"]["route"] == "cloud"
    assert len(pair.cloud.client().jobs()) == 3
    assert_settled(pair.edge, 4)


# --- the ends of it ---


def test_a_cloud_whose_disk_is_full_is_not_waited_for(make_pair, restored_here):
    pair = make_pair(cloud={"serve": {"disk": "1MiB"}}).start()
    client, events = pair.edge.client(), pair.edge.events()
    assert len(png(1)) < MiB < len(png(1, 1200, 900))
    job = submit(pair.edge, client, "a.png", png(1, 1200, 900))
    assert events.wait_for_end(job)["kind"] == "done"
    decision = client.job(job)["decision"]
    assert decision["route"] == "local" and "serve.disk" in decision["reason"], decision
    assert np.array_equal(result_of(pair.edge, "a.png"), restored_here(png(1, 1200, 900)))
    # Smaller ones find room.
    job = submit(pair.edge, client, "b.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "cloud"
    assert_settled(pair.edge, 2)


def test_a_cloud_that_dies_goes_on_where_it_was(make_pair):
    pair = make_pair(edge={"cloud": {"fallback": "queue"}}, work="rate=6").start()
    client, events, there = pair.edge.client(), pair.edge.events(), pair.cloud.events()
    job = submit(pair.edge, client, "a.png", png(1))
    there.wait(lambda event: event["kind"] == "started")
    pair.cloud.kill()
    pair.cloud.start()
    assert events.wait_for_end(job)["kind"] == "done"
    assert kinds_of(client, job).count("escalated") == 1 and client.job(job)["decision"]["route"] == "cloud"
    assert np.array_equal(result_of(pair.edge, "a.png"), noisy(1))
    remote = the_job_of(pair.cloud)
    assert remote["state"] == "done" and remote["crashes"] == 1
    assert_settled(pair.edge, 1)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_edge_that_was_gone_takes_its_pictures_back_from_the_same_job(make_pair, end):
    pair = make_pair(work="rate=6").start()
    client, there = pair.edge.client(), pair.cloud.events()
    job = submit(pair.edge, client, "a.png", png(1))
    there.wait(lambda event: event["kind"] == "started")
    getattr(pair.edge, end)()
    pair.edge.start()
    client = pair.edge.client()
    until(lambda: client.job(job)["state"] == "done", "the job's end")
    assert kinds_of(client, job).count("escalated") == 1 and client.job(job)["decision"]["route"] == "cloud"
    assert np.array_equal(result_of(pair.edge, "a.png"), noisy(1))
    assert the_job_of(pair.cloud)["state"] == "done"
    assert pair.edge.metric("retouchd_cloud_sent_bytes_total") < len(png(1)) / 10, "not sent again"
    assert_settled(pair.edge, 1)


def test_a_storm_of_kills_and_cuts_leaves_each_picture_restored_once(make_pair):
    """Twice each: the edge dies, the cloud dies, the line is reset; in any order, at any moment."""
    seed = random.randrange(1 << 30)
    print(f"\nmoments by seed {seed}")
    moments = random.Random(seed)
    blows = ["edge", "cloud", "line"] * 2
    moments.shuffle(blows)
    pair = make_pair(edge={"cloud": {"fallback": "queue"}}, work="rate=20").start()
    client = pair.edge.client()
    jobs = [submit(pair.edge, client, f"{number}.png", png(number % 5)) for number in range(12)]
    for blow in blows:
        events = pair.edge.events()
        left = moments.randint(1, 8)
        try:
            events.wait(lambda event: len(events.seen) >= left, timeout=10)
            with events.changed:  # some milliseconds more, to meet the steps between events too
                events.changed.wait_for(lambda: False, timeout=moments.uniform(0, 0.3))
        except TimeoutError:
            pass  # everything was done already, or waits for the breaker
        if blow == "line":
            pair.proxy.reset()
            continue
        getattr(pair, blow).kill()
        getattr(pair, blow).start()
    client = pair.edge.client()
    until(lambda: all(client.job(job)["state"] == "done" for job in jobs), "all done", timeout=120)
    for number, job in enumerate(jobs):
        assert np.array_equal(result_of(pair.edge, f"{number}.png"), noisy(number % 5)), number
        assert kinds_of(client, job).count("returned") == 1 and client.job(job)["decision"]["route"] == "cloud"
    there = pair.cloud.client().jobs()
    print(f"crashes: {sum(client.job(job)['crashes'] for job in jobs)} here, {sum(job['crashes'] for job in there)} there")
    assert len(there) == len(jobs) and {job["state"] for job in there} == {"done"}, "each was restored once"
    assert_settled(pair.edge, len(jobs))
