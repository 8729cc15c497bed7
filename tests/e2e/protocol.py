"""A client of the daemon's ZeroMQ protocol (docs/protocol.md), as a user of pyzmq would write it, with waiting made easy."""

import json
import threading
import time
import uuid

import zmq

ENDED = {"done", "failed", "cancelled"}


class Refused(Exception):
    """The daemon's {"ok": false} answer."""

    def __init__(self, error):
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.code = error.get("code")
        self.message = error.get("message", "")
        self.remedy = error.get("remedy", "")
        self.retry_after_ms = error.get("retry_after_ms")


class Client:
    """Requests on one DEALER socket. Confined to one thread."""

    def __init__(self, endpoint):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.calls = 0

    def close(self):
        self.context.destroy(linger=0)

    def send(self, message, content=None):
        frames = [message if isinstance(message, bytes) else json.dumps(message).encode()]
        self.socket.send_multipart(frames if content is None else [*frames, content])

    def receive(self, timeout=60):
        """The next reply and its binary frame (b"" when there is none)."""
        if not self.socket.poll(timeout * 1000):
            raise TimeoutError("the daemon did not answer")
        frames = self.socket.recv_multipart()
        return json.loads(frames[0]), b"".join(frames[1:])

    def exchange(self, op, content=None, **fields):
        self.calls += 1
        request_id = f"t{self.calls}"
        self.send({"v": 1, "id": request_id, "op": op, **fields}, content)
        reply, received = self.receive()
        assert reply["id"] == request_id and reply["v"] == 1, reply
        if not reply["ok"]:
            raise Refused(reply["error"])
        return reply, received

    def call(self, op, content=None, **fields):
        return self.exchange(op, content, **fields)[0]

    def submit(self, path=None, content=None, **fields):
        """The new job's id."""
        if path is not None:
            fields["path"] = str(path)
        return self.call("submit", content, **{k: str(v) if k == "output" else v for k, v in fields.items()})["job"]

    def job(self, job_id):
        return self.call("status", job=job_id)["job"]

    def jobs(self, **filters):
        """All jobs, oldest first."""
        jobs, after = [], 0
        while page := self.call("list", limit=1000, after=after, **filters)["jobs"]:
            jobs += page
            after = page[-1]["id"]
        return jobs[::-1]

    def events_of(self, job_id):
        return self.call("events", job=job_id)["events"]

    def fetch(self, job_id):
        """The result's bytes, chunk by chunk."""
        data = b""
        while True:
            reply, chunk = self.exchange("fetch", job=job_id, offset=len(data))
            data += chunk
            if len(data) >= reply["size"]:
                return data


class Events:
    """Collects published events on a thread of its own and lets tests wait for them."""

    def __init__(self, endpoint, prefix="job."):
        self.seen = []
        self.changed = threading.Condition()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.rcvhwm = 0
        self.socket.linger = 0
        # In this order: whoever is greeted knows that the subscriptions before it hold.
        self.socket.subscribe(prefix)
        hello = f"hello.{uuid.uuid4()}"
        self.socket.subscribe(hello)
        self.socket.connect(endpoint)
        assert self.socket.poll(30_000), f"nobody publishes events at {endpoint}"
        while self.socket.recv_multipart()[0] != hello.encode():
            assert self.socket.poll(30_000), "the daemon did not greet a new subscriber"
        self.stopping = False
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while not self.stopping:
            if not self.socket.poll(100):
                continue
            topic, body = self.socket.recv_multipart()
            event = json.loads(body)
            assert topic.decode() == f"job.{event['job']}.{event['kind']}", topic
            with self.changed:
                self.seen.append(event)
                self.changed.notify_all()

    def wait(self, wanted, timeout=120, what="the event"):
        """The first event for which `wanted(event)` holds; also one that was seen before."""
        end = time.monotonic() + timeout
        looked_at = 0
        with self.changed:
            while True:
                for event in self.seen[looked_at:]:
                    if wanted(event):
                        return event
                looked_at = len(self.seen)
                if not self.changed.wait(max(0, end - time.monotonic())) and time.monotonic() >= end:
                    raise TimeoutError(f"{what} did not come in {timeout} s; seen: {self.summary()}")

    def wait_for(self, job_id, kind, timeout=120):
        return self.wait(lambda e: e["job"] == job_id and e["kind"] == kind, timeout, f"{kind} of job {job_id}")

    def wait_for_end(self, job_id, timeout=120):
        return self.wait(lambda e: e["job"] == job_id and e["kind"] in ENDED, timeout, f"the end of job {job_id}")

    def wait_for_count(self, kinds, count, timeout=120):
        """Waits until so many different jobs had an event of these kinds."""
        seen = set()

        def enough(event):
            if event["kind"] in kinds:
                seen.add(event["job"])
            return len(seen) >= count

        self.wait(enough, timeout, f"{kinds} of {count} jobs")

    def of(self, job_id):
        with self.changed:
            return [event for event in self.seen if event["job"] == job_id]

    def summary(self):
        counts = {}
        for event in self.seen:
            counts[event["kind"]] = counts.get(event["kind"], 0) + 1
        return counts

    def close(self):
        self.stopping = True
        self.thread.join()
        self.context.destroy(linger=0)
