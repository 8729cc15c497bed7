"""A node of the tests' own: honest, or lying in many ways."""

import hashlib
import json
import threading

import numpy as np
import zmq

import pictures


class FakeNode:
    """Speaks the protocol of a node, honestly but for what `lie` changes; records what it is told.

    `lie(node, op, reply, content)` gives the reply to be sent, and its second frame; bytes instead of a reply are sent as they
    are. What it restores is the picture with a mark: the lowest bit of each value is the other one.
    """

    def __init__(self):
        self.public_key, secret = (key.decode() for key in zmq.curve_keypair())
        self.lie = None
        self.heard = []  # (request, second frame)
        self.uploads, self.jobs = {}, {}
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.curve_server, self.socket.curve_secretkey = True, secret.encode()
        self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while not self.stopping.is_set():
            if not self.socket.poll(50):
                continue
            who, head, *content = self.socket.recv_multipart()
            request = json.loads(head)
            self.heard.append((request, b"".join(content)))
            reply, back = getattr(self, request["op"])(request, b"".join(content))
            if "error" not in reply:
                reply = {"v": 1, "ok": True, "id": request.get("id"), "op": request["op"], **reply}
            else:
                reply = {"v": 1, "ok": False, "id": request.get("id"), **reply}
            if self.lie is not None:
                reply, back = self.lie(self, request["op"], reply, back)
            frames = [reply if isinstance(reply, bytes) else json.dumps(reply).encode()]
            self.socket.send_multipart([who, *frames, *([back] if back else [])])

    def close(self):
        self.stopping.set()
        self.thread.join()
        self.context.destroy(linger=0)

    # --- operations: (reply, second frame) ---

    def ping(self, request, content):
        return {"version": "1", "protocol": 1, "ready": True, "draining": False, "networks": ["student-tiny"]}, b""

    def upload(self, request, content):
        have = self.uploads.setdefault(request["sha256"], b"")
        if content and request.get("offset", 0) == len(have):
            have = self.uploads[request["sha256"]] = have + content
        return {"have": len(have), "complete": len(have) == request["size"]}, b""

    def submit(self, request, content):
        picture = self.uploads.get(request["content"])
        if picture is None:
            return {"error": {"code": "input_missing", "message": "no such upload"}}, b""
        job = len(self.jobs) + 1
        self.jobs[job] = self.restore(picture)
        return {"job": job, "duplicate": False, "name": request["name"]}, b""

    def status(self, request, content):
        result = self.jobs[request["job"]]
        job = {"id": request["job"], "state": "done", "size": len(result), "sha256": hashlib.sha256(result).hexdigest()}
        return {"job": job}, b""

    def cancel(self, request, content):
        return {"job": {"id": request["job"], "state": "cancelled"}}, b""

    def fetch(self, request, content):
        result = self.jobs[request["job"]]
        offset = request.get("offset", 0)
        part = result[offset:offset + request.get("length", 1 << 20)]
        return {"job": request["job"], "name": "picture.png", "offset": offset, "length": len(part), "size": len(result),
                "sha256": hashlib.sha256(result).hexdigest(), "last": offset + len(part) == len(result)}, part

    @staticmethod
    def restore(picture):
        return pictures.encoded(marked(pictures.decoded(picture)), ".png")


def marked(pixels):
    return pixels ^ 1


# --- lies ---


def on(wanted, change):
    """A lie about one operation."""

    def lie(node, op, reply, content):
        return change(node, dict(reply), content) if op == wanted else (reply, content)

    return lie


def about_the_job(**fields):
    return on("status", lambda node, reply, content: (reply | {"job": reply["job"] | fields}, content))


def restoring(make_result):
    """It restores like that; its hashes are right."""

    def lie(node, op, reply, content):
        if op == "submit" and "job" in reply:
            node.jobs[reply["job"]] = make_result(list(node.uploads.values())[-1])
        return reply, content

    return lie


def as_png(pixels):
    return pictures.encoded(np.ascontiguousarray(pixels), ".png")


def header_of(picture, times):
    height, width = pictures.decoded(picture).shape[:2]
    return pictures.png_header(times * width, times * height)


LIES = {
    "another hash": about_the_job(sha256="0" * 64),
    "another size": about_the_job(size=1000),
    "more than there can be": about_the_job(size=1 << 40),
    "a hash that is a path": about_the_job(sha256="../../../../etc/passwd"),
    "other bytes": on("fetch", lambda node, reply, content: (reply, bytes(len(content)))),
    "no bytes": on("fetch", lambda node, reply, content: (reply, b"")),
    "too many bytes": on("fetch", lambda node, reply, content: (reply, content + bytes(100_000))),
    "half of the picture": restoring(lambda sent: as_png(pictures.decoded(sent)[::2, ::2])),
    "nine times as large": restoring(lambda sent: header_of(sent, times=9)),
    "one colour": restoring(lambda sent: as_png(np.full_like(pictures.decoded(sent), 117))),
    "the negative": restoring(lambda sent: as_png(255 - pictures.decoded(sent))),
    "upside down": restoring(lambda sent: as_png(pictures.decoded(sent)[::-1])),
    "without colour": restoring(lambda sent: as_png(pictures.decoded(sent)[..., 1])),
    "a bomb": restoring(lambda sent: pictures.png_header(60_000, 60_000)),
    "no picture": restoring(lambda sent: pictures.PDF),
    "a job that never ends": about_the_job(state="running"),
    "a job of another kind": on("status", lambda node, reply, content: (reply | {"job": [17]}, content)),
    "a job without a number": on("submit", lambda node, reply, content: (reply | {"job": "1; drop table"}, content)),
    "a job that is unknown": on("status", lambda node, reply, content: ({"v": 1, "id": reply["id"], "ok": False, "error": {
        "code": "unknown_job", "message": "\x1b[31m" + "no " * 1_000}}, b"")),
    "more words than anybody reads": on("status", lambda node, reply, content: (reply | {"why": "so " * 100_000}, content)),
    "an upload that does not grow": on("upload", lambda node, reply, content: (reply | {"have": 0, "complete": False}, content)),
    "an upload of negative size": on("upload", lambda node, reply, content: (reply | {"have": -1}, content)),
    "a refusal": on("submit", lambda node, reply, content: ({"v": 1, "id": reply["id"], "ok": False, "error": {
        "code": "invalid_request", "message": "not today"}}, b"")),
    "answers to others": lambda node, op, reply, content: (reply | {"id": "somebody else's"}, content),
    "no JSON": lambda node, op, reply, content: (b"\xff\xfe" * 1000, content) if op != "ping" else (reply, content),
}
