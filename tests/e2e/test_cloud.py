"""Two daemons, one of which sends its pictures to the other: what comes back, what leaves the house, and who is believed."""

import io
from datetime import datetime

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

import pictures
from cloud_nodes import MiB, assert_settled, breaker_of, edge_settings, kinds_of, noisy, png, result_of, submit, until
from cloud_nodes import cable, fake_node, make, make_pair, restored_here  # fixtures
from fake_node import LIES, marked
from namespaces import ThisMachine


# --- what comes back ---


def test_what_comes_back_is_what_the_cloud_made_with_all_that_the_original_had(make_pair, restored_here):
    pair = make_pair(cloud={"device": "cpu"}).start()
    client, events = pair.edge.client(), pair.edge.events()
    upright = noisy(1)
    deep = (noisy(2).astype(np.uint16) << 8) + 77
    see_through = np.dstack([noisy(3), np.tile(np.arange(720, dtype=np.uint8), (480, 1))])
    lying = pictures.stored_for(upright, 6)
    tags, profile = pictures.exif(orientation=6), pictures.profile()
    sent = {
        "lying.jpg": pictures.encoded(lying, ".jpg", quality=97, exif=tags, icc_profile=profile, xmp=pictures.XMP),
        "deep.png": pictures.encoded(deep, ".png"),
        "gray.png": pictures.encoded(np.ascontiguousarray(noisy(4)[..., 1]), ".png"),
        "see-through.png": pictures.encoded(see_through, ".png"),
        "plain.jpg": pictures.encoded(noisy(5), ".jpg", quality=97, icc_profile=profile),
    }
    jobs = {name: submit(pair.edge, client, name, data) for name, data in sent.items()}
    jobs["lying.png"] = client.submit(pair.edge.home / "in/lying.jpg", output=pair.edge.home / "out/lying.png")
    for name, job in jobs.items():
        assert events.wait_for_end(job)["kind"] == "done", name
        told = client.job(job)
        assert told["decision"]["route"] == "cloud" and told["decision"]["node"] == pair.node, told["decision"]
        kinds = kinds_of(client, job)
        assert kinds[:4] == ["accepted", "started", "preview", "escalated"] and kinds[-1] == "done", kinds
        assert kinds.index("escalated") < kinds.index("returned") and "fell_back" not in kinds, kinds

    assert "progress" in events.summary(), "of the tiles that the cloud works on"
    for name in ("deep.png", "gray.png", "see-through.png"):
        assert np.array_equal(result_of(pair.edge, name), restored_here(sent[name])), name
    assert pictures.kind_of(result_of(pair.edge, "deep.png")) == ("colour", 16)
    assert pictures.kind_of(result_of(pair.edge, "gray.png")) == ("gray", 8)
    assert np.array_equal(result_of(pair.edge, "see-through.png")[..., 3], see_through[..., 3])
    # The cloud sees the stored pixels, and not that they lie on their side.
    as_stored = restored_here(pictures.encoded(lying, ".jpg", quality=97), ".jpg")
    assert np.array_equal(result_of(pair.edge, "lying.png"), np.rot90(as_stored, -1))
    again = io.BytesIO(pictures.encoded(restored_here(sent["plain.jpg"], ".jpg"), ".jpg", quality=95))
    assert pictures.psnr(result_of(pair.edge, "plain.jpg"), np.asarray(Image.open(again))) > 45

    with Image.open(pair.edge.home / "out/lying.jpg") as picture:
        found = picture.getexif()
        assert found[0x013B] == tags[0x013B] and dict(found.get_ifd(0x8825)) == dict(tags.get_ifd(0x8825))
        assert found.get(0x0112, 1) == 1 or ImageOps.exif_transpose(picture).size == (720, 480)
        assert picture.info["icc_profile"] == profile and b"xmp:Rating" in picture.info["xmp"]
    text = pair.edge.retouch("explain", jobs["deep.png"], check=0).stdout
    assert f"on the cloud node {pair.node}" in text and "threshold" in text, text
    assert pair.edge.metric("retouchd_escalations_total", result="returned") == len(jobs)
    assert_settled(pair.edge, len(jobs))


def test_a_picture_that_is_there_already_is_not_sent_again(make_pair):
    pair = make_pair().start()
    client, events = pair.edge.client(), pair.edge.events()
    pixels = noisy(1)
    first = pictures.encoded(pixels, ".jpg", quality=95, exif=pictures.exif(artist="One"))
    second = pictures.encoded(pixels, ".jpg", quality=95, exif=pictures.exif(artist="Another"))
    sent = []
    for name, data in (("a.jpg", first), ("b.jpg", second)):
        assert events.wait_for_end(submit(pair.edge, client, name, data))["kind"] == "done"
        sent.append(pair.edge.metric("retouchd_cloud_sent_bytes_total"))
    assert 0.8 * len(first) < sent[0] < len(first) + 10_000
    assert sent[1] - sent[0] < 10_000
    assert_settled(pair.edge, 2)


def test_small_answers_are_worth_a_third_of_the_bytes(make_pair):
    pair = make_pair(edge={"cloud": {"answer": "small"}}).start()
    client, events = pair.edge.client(), pair.edge.events()
    received = []
    jpeg = pictures.encoded(noisy(1), ".jpg", quality=95, exif=pictures.exif())
    for name, data in (("a.png", png(1)), ("b.jpg", jpeg)):
        before = pair.edge.metric("retouchd_cloud_received_bytes_total")
        assert events.wait_for_end(submit(pair.edge, client, name, data))["kind"] == "done"
        received.append(pair.edge.metric("retouchd_cloud_received_bytes_total") - before)
    assert pictures.psnr(result_of(pair.edge, "b.jpg"), pictures.decoded(jpeg)) > 30
    assert received[1] < received[0] / 3
    assert np.array_equal(result_of(pair.edge, "a.png"), noisy(1)), "only JPEG becomes smaller"
    assert_settled(pair.edge, 2)


def test_a_cancelled_picture_is_cancelled_there_too_and_a_deadline_goes_along(make_pair):
    pair = make_pair(work="rate=0.05").start()
    client, events, there = pair.edge.client(), pair.edge.events(), pair.cloud.events()
    job = submit(pair.edge, client, "a.png", png(1), deadline_seconds=3600)
    remote = there.wait(lambda event: event["kind"] == "started")["job"]
    wanted, passed_on = (datetime.fromisoformat(one.job(each)["deadline"])
                         for one, each in ((client, job), (pair.cloud.client(), remote)))
    assert abs((wanted - passed_on).total_seconds()) < 10
    client.call("cancel", job=job)
    assert events.wait_for_end(job)["kind"] == "cancelled"
    assert there.wait_for_end(remote)["kind"] == "cancelled"
    assert_settled(pair.edge, 1, ends=("cancelled",))
    assert pair.edge.metric("retouchd_escalations_total", result="cancelled") == 1


def test_the_budget_is_kept_also_over_a_restart(make_pair):
    pair = make_pair(edge={"cloud": {"escalations_per_hour": 2}}).start()
    client, events = pair.edge.client(), pair.edge.events()
    decisions = []
    for number in range(5):
        job = submit(pair.edge, client, f"{number}.png", png(1))
        assert events.wait_for_end(job)["kind"] == "done"
        decisions.append(client.job(job)["decision"])
    assert [decision["route"] for decision in decisions] == ["cloud"] * 2 + ["local"] * 3
    assert {decision["code"] for decision in decisions[2:]} == {"over_budget"}
    assert "over budget until" in decisions[2]["reason"]
    assert pair.edge.stop() == 0
    pair.edge.start()
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "5.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["code"] == "over_budget"
    assert pair.edge.metric("retouchd_cloud_budget_escalations") == 0
    assert len(pair.cloud.client().jobs()) == 2
    assert_settled(pair.edge, 6)


# --- what leaves the house ---


CANARY = "canary-4711"
SECRETS = [CANARY.encode(), b"anna", b"1999:12:24", b"Example Cameras", b"2026:11:21 07:40:34"]
TRACES = [b"Exif\0\0", b"eXIf", b"tEXt", b"iTXt", b"iCCP", b"ICC_PROFILE", b"ns.adobe.com", b"/tmp/", b"rt-"]


def with_secrets():
    """Pictures that say who, where and when in every way there is: by name."""
    tags = pictures.exif(orientation=6, artist=f"{CANARY} artist")
    tags.get_ifd(0x8825)[0x001D] = "1999:12:24"  # GPSDateStamp
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", f"{CANARY} author")
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{CANARY} xmp</x:xmpmeta>")
    xmp = pictures.XMP.replace(b"xmp:Rating", f"{CANARY}:Rating".encode())
    jpeg = pictures.encoded(noisy(1), ".jpg", quality=95, exif=tags, xmp=xmp, comment=f"{CANARY} comment".encode(),
                            icc_profile=pictures.profile())
    return {f"{CANARY} of anna.jpg": jpeg + f"{CANARY} behind the picture".encode(),
            f"{CANARY} of anna.png": pictures.encoded(noisy(2), ".png", pnginfo=text, exif=tags)}


def test_no_byte_but_pixels_leaves_the_house(make, fake_node):
    edge = make(ThisMachine(), **edge_settings(fake_node.address, fake_node.public_key))
    edge.retouch("keygen", check=0)
    edge.start()
    client, events = edge.client(), edge.events()
    pictures_sent = with_secrets()
    for name, data in pictures_sent.items():
        assert events.wait_for_end(submit(edge, client, name, data))["kind"] == "done"
        assert pictures.decoded(data).shape == result_of(edge, name).shape
    assert edge.metric("retouchd_escalations_total", result="returned") == len(pictures_sent)
    assert {request["op"] for request, _ in fake_node.heard} >= {"upload", "submit", "status", "fetch"}
    spoken = b"\n".join(repr(request).encode() + content for request, content in fake_node.heard)
    for secret in SECRETS + TRACES:
        assert secret not in spoken, secret
    assert_settled(edge, len(pictures_sent))


def test_nothing_but_pixels_is_kept_by_the_cloud(make_pair):
    pair = make_pair().start()
    client, events = pair.edge.client(), pair.edge.events()
    for name, data in with_secrets().items():
        assert events.wait_for_end(submit(pair.edge, client, name, data))["kind"] == "done"
    assert {job["state"] for job in pair.cloud.client().jobs()} == {"done"}
    kept = [path for path in (pair.cloud.home / "state").rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite" for path in kept) and sum(path.stat().st_size for path in kept) > 2 * MiB
    for path in [*kept, pair.cloud.log_file]:
        content = path.read_bytes()
        for secret in SECRETS:
            assert secret not in content, (path, secret)
    assert_settled(pair.edge, 2)


# --- who may ---


def test_strangers_are_not_let_in_and_fall_back(make_pair, restored_here):
    pair = make_pair(edge={"cloud": {"silence": "2s"}}, through_proxy=False)
    pair.let_in()
    pair.start()
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "a.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["code"] == "node_away"
    assert np.array_equal(result_of(pair.edge, "a.png"), restored_here(png(1)))
    assert pair.cloud.client().jobs() == [] and not list((pair.cloud.home / "state").rglob("*.part"))
    assert f"key {pair.edge_key}" in pair.cloud.log() and "not in serve.clients" in pair.cloud.log()
    assert pair.cloud.metric("retouchd_guests_denied_total") >= 1
    assert "the cloud node is away" in pair.edge.log()

    pair.let_in(pair.edge_key)
    pair.cloud.reload()
    until(lambda: breaker_of(pair.edge) == "closed", "a closed breaker")
    job = submit(pair.edge, client, "b.png", png(2))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "cloud"

    # And out again, also on the connection that there is.
    pair.let_in()
    pair.cloud.reload()
    job = submit(pair.edge, client, "c.png", png(3))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["route"] == "local"
    assert len(pair.cloud.client().jobs()) == 1
    assert_settled(pair.edge, 3)


def test_a_cloud_with_another_key_is_not_believed(make_pair, restored_here):
    pair = make_pair(edge={"cloud": {"silence": "1s"}}, through_proxy=False)
    pair.edge.settings["cloud"]["server_key"] = pair.edge_key
    pair.edge.write_config()
    pair.start()
    client, events = pair.edge.client(), pair.edge.events()
    job = submit(pair.edge, client, "a.png", png(1))
    assert events.wait_for_end(job)["kind"] == "done"
    assert client.job(job)["decision"]["code"] == "node_away"
    assert np.array_equal(result_of(pair.edge, "a.png"), restored_here(png(1)))
    assert pair.cloud.client().jobs() == []
    assert_settled(pair.edge, 1)


def test_nothing_that_a_hostile_node_says_is_published(make, fake_node, restored_here):
    settings = edge_settings(fake_node.address, fake_node.public_key, cloud={"timeout": "3s", "silence": "2s", "reopen": "100ms"})
    edge = make(ThisMachine(), **settings)
    edge.retouch("keygen", check=0)
    edge.start()
    client, events = edge.client(), edge.events()
    data, pixels = png(1, 360, 240), noisy(1, 360, 240)

    def restore(name):
        until(lambda: breaker_of(edge) == "closed", "a closed breaker")
        job = submit(edge, client, f"{name}.png", data)
        assert events.wait_for_end(job)["kind"] == "done", name
        return client.job(job)["decision"], kinds_of(client, job)

    decision, kinds = restore("the truth")
    assert decision["route"] == "cloud" and np.array_equal(result_of(edge, "the truth.png"), marked(pixels))
    for name, fake_node.lie in LIES.items():
        fake_node.uploads.clear()
        decision, kinds = restore(name)
        assert decision["route"] == "local" and kinds.count("escalated") == kinds.count("fell_back") == 1, (name, decision, kinds)
        assert np.array_equal(result_of(edge, f"{name}.png"), restored_here(data)), name
        print(f"{name}: {decision['code']}: {decision['reason'][:150]}")
        fake_node.lie = None
    assert edge.metric("retouchd_escalations_total", result="bad_answer") >= 15
    assert "cancel" in [request["op"] for request, _ in fake_node.heard], "the one that never ends is told that it may"
    assert max(map(len, edge.log().splitlines())) < 2000 and "\x1b" not in edge.log()
    assert_settled(edge, 1 + len(LIES))
