import os, sys, time
import zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"ipc://{os.environ['XDG_RUNTIME_DIR']}/retouchd/requests.sock")
def ask(op, **fields):
    socket.send_json({"v": 1, "op": op, **fields})
    reply = socket.recv_json()
    return reply if reply["ok"] else sys.exit(f"{reply['error']['message']}. {reply['error']['remedy']}")
job = ask("submit", path=os.path.abspath(sys.argv[1]))["job"]
while (state := ask("status", job=job)["job"])["state"] not in ("done", "failed", "cancelled"): time.sleep(0.2)
print(state["state"], state["output"])
