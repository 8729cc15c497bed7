"""A daemon with `role: cloud`: other daemons upload pictures over an encrypted socket, have them restored, and fetch the results."""

import hashlib
import json

import pytest
import zmq

import pictures
from daemon_process import free_port
from protocol import Client, Refused

PART = 1 << 20


class Guest(Client):
    """What another daemon does with a node."""

    def __init__(self, node, keys):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.reconnect_ivl = 50
        self.socket.curve_serverkey = node.public_key.encode()
        self.socket.curve_publickey, self.socket.curve_secretkey = keys
        self.socket.connect(node.settings["serve"]["listen"])
        self.calls = 0
        node.clients.append(self)

    def exchange(self, op, part=None, **fields):  # to a node, `content` is a field of the request
        self.calls += 1
        self.send({"v": 1, "id": f"t{self.calls}", "op": op, **fields}, part)
        reply, received = self.receive()
        assert reply["id"] == f"t{self.calls}", reply
        if not reply["ok"]:
            raise Refused(reply["error"])
        return reply, received

    def call(self, op, part=None, **fields):
        return self.exchange(op, part, **fields)[0]

    def upload(self, data, most=1 << 40):
        """Sends what the node does not have yet, at most so many bytes in this go; the last answer."""
        fields = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        answer = self.call("upload", **fields)
        end = min(len(data), answer["have"] + most)
        while not answer["complete"] and answer["have"] < end:
            offset = answer["have"]
            answer = self.call("upload", data[offset:min(end, offset + PART)], offset=offset, **fields)
        return answer


@pytest.fixture
def keys():
    return zmq.curve_keypair()


@pytest.fixture
def make_node(make_daemon):
    def make(**clients):
        node = make_daemon(role="cloud", serve={"listen": f"tcp://127.0.0.1:{free_port()}"})
        node.public_key = json.loads(node.retouch("keygen", "--node", "--json", check=0).stdout)["public_key"]
        list_clients(node, **clients)
        return node.start()
    return make


def list_clients(node, **clients):
    lines = [f"{keys[0].decode()} {name}\n" for name, keys in clients.items()]
    (node.home / "state/serve.clients").write_text("# who may send pictures\n" + "".join(lines))


def test_a_picture_is_restored_for_another_daemon(make_node, keys):
    node = make_node(studio=keys)
    guest = Guest(node, keys)
    about = guest.call("ping")
    assert about["ready"] and "student-tiny" in about["networks"]
    assert not {"jobs", "device", "requests"} & set(about)
    clean = pictures.scene(900, 700, seed=1)
    data = pictures.encoded(pictures.with_noise(clean, 25, seed=2), ".png")
    assert len(data) > PART, "so that it takes several parts"
    assert not guest.upload(data, most=PART)["complete"]
    node.kill()
    node.start()
    guest = Guest(node, keys)
    assert guest.upload(data, most=0)["have"] == PART, "goes on where it was"
    assert guest.upload(data)["complete"]

    fields = {"content": hashlib.sha256(data).hexdigest(), "name": "picture.png", "key": "7:1"}
    submitted = guest.call("submit", **fields)
    assert guest.call("submit", **fields)["job"] == submitted["job"]
    node.events().wait_for_end(submitted["job"])
    job = guest.job(submitted["job"])
    assert job["state"] == "done", job
    result = guest.fetch(job["id"])
    assert hashlib.sha256(result).hexdigest() == job["sha256"]
    assert pictures.psnr(pictures.decoded(result), clean) > pictures.psnr(pictures.decoded(data), clean) + 3
    assert [event["kind"] for event in guest.events_of(job["id"])][-1] == "done"
    assert str(node.home) not in json.dumps([job, guest.events_of(job["id"]), submitted])

    # On the node itself it is a job like others, of that client.
    (seen,) = node.client().jobs()
    assert seen["origin"] == "cloud:studio" and seen["preview"] is None
    assert node.stop() == 0


def test_others_are_refused(make_node, keys, tmp_path):
    other, stranger = zmq.curve_keypair(), zmq.curve_keypair()
    node = make_node(studio=keys, lab=other)
    guest, of_lab = Guest(node, keys), Guest(node, other)
    data = pictures.encoded(pictures.scene(64, 64, seed=3), ".png")
    guest.upload(data)
    content = hashlib.sha256(data).hexdigest()
    job = guest.call("submit", content=content, name="a.png")["job"]
    picture = tmp_path / "a.png"
    picture.write_bytes(data)
    for client, code, op, fields in [
        (of_lab, "unknown_job", "status", {"job": job}),
        (of_lab, "unknown_job", "cancel", {"job": job}),
        (of_lab, "unknown_job", "fetch", {"job": job}),
        (of_lab, "input_missing", "submit", {"content": content, "name": "a.png"}),
        (guest, "invalid_request", "submit", {"path": str(picture)}),
        (guest, "invalid_request", "submit", {"content": content, "name": "a.png", "output": str(tmp_path / "b.png")}),
        (guest, "invalid_request", "list", {}),
        (guest, "invalid_request", "stats", {}),
        (guest, "unknown_network", "submit", {"content": content, "name": "a.png", "network": "none"}),
    ]:
        with pytest.raises(Refused) as refused:
            client.call(op, **fields)
        assert refused.value.code == code, (op, fields, str(refused.value))

    unknown = Guest(node, stranger)
    unknown.send({"v": 1, "op": "ping"})
    with pytest.raises(TimeoutError):
        unknown.receive(timeout=1)
    list_clients(node, lab=other, newcomer=stranger)
    node.reload()
    assert Guest(node, stranger).call("ping")["ok"]
    with pytest.raises(Refused) as refused:
        guest.call("ping")
    assert "no longer" in refused.value.message
    assert of_lab.call("ping")["ok"]


def test_a_node_without_keys_does_not_start(make_daemon):
    node = make_daemon(role="cloud", serve={"listen": f"tcp://127.0.0.1:{free_port()}"})
    node.spawn()
    assert node.wait() == 2, node.log()
    assert "serve.key" in node.log() and "retouch keygen" in node.log()
