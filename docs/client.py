"""Takes a lock and appends a line to its file: client.py HOST PORT NAME FILE LINE"""
import itertools, json, random, secrets, socket, sys, threading, time

host, port, name, file, line = sys.argv[1:]
session, seqs, poll = {}, itertools.count(1), 0.5

def ask(op, patience=30, **fields):
    """Sends one request, again and again, until its final answer is there."""
    seq = 0 if op == "hello" else next(seqs)
    request = {"v": 1, "op": op, "seq": seq, **session, **fields}
    pause, pause_max, give_up = 0.2, 2, time.monotonic() + patience
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((host, int(port)))
        for attempt in itertools.count():
            again = min(time.monotonic() + pause * random.uniform(0.8, 1.2), give_up)
            pause = min(2 * pause, pause_max)
            try:
                sock.send(json.dumps({**request, "attempt": attempt}).encode())
                while True:
                    sock.settimeout(max(again - time.monotonic(), 0))
                    reply = json.loads(sock.recv(1200))
                    if reply["re"] != seq:
                        continue  # meant for whoever had this port before
                    if reply["status"] == "error" and op not in ("heartbeat", "close"):
                        sys.exit(f"{op}: {reply['code']}, {reply['message']}")
                    if reply["status"] != "queued":
                        return reply
                    # In line. The grant comes unasked, or in answer to a poll.
                    pause, pause_max, give_up = poll, poll, time.monotonic() + patience
            except OSError:  # silence, or nobody listens there at the moment
                time.sleep(max(again - time.monotonic(), 0))
            if time.monotonic() >= give_up:
                raise TimeoutError(f"no answer to {op}")

def beat(every):
    while True:
        try:
            ask("heartbeat", patience=every)
            time.sleep(every)
        except TimeoutError:
            pass  # the next one is a new request: a copy of this one might renew nothing

hello = {"client": name, "nonce": secrets.token_hex(8)}
welcome = ask("hello", **hello)
if welcome["status"] == "retry":  # the server wants to see that it can reach us
    welcome = ask("hello", **hello, cookie=welcome["cookie"])
session["session"], poll = welcome["session"], welcome["poll_ms"] / 1000
threading.Thread(target=beat, args=[welcome["heartbeat_ms"] / 1000], daemon=True).start()

granted = ask("acquire_lock", lock=file, wait_ms=600_000)
while granted["lease_ms"] == 0:  # that tenure was over before we heard of it
    granted = ask("acquire_lock", lock=file, wait_ms=600_000)
appended = ask("append_file", file=file, token=granted["token"], data=line + "\n")
ask("release_lock", lock=file, token=granted["token"])
ask("close")  # where its answer is lost, a copy of it finds the session closed already
print(f"{appended['len']} bytes at offset {appended['offset']}, token {granted['token']}")
