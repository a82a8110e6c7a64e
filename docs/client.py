"""Acquires a lock and appends a line to its file: client.py HOST PORT NAME FILE LINE"""
import itertools, json, random, secrets, socket, sys, threading, time

host, port, name, file, line = sys.argv[1:]
session, sequence, poll_interval = {}, itertools.count(1), 0.5

def call(op, timeout=30, **fields):
    """Sends one request, retransmits it until its final reply arrives, and returns that reply."""
    seq = 0 if op == "hello" else next(sequence)
    request = {"v": 1, "op": op, "seq": seq, **session, **fields}
    delay, delay_max, deadline = 0.2, 2, time.monotonic() + timeout
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((host, int(port)))
        for attempt in itertools.count():
            retry_at = min(time.monotonic() + delay * random.uniform(0.8, 1.2), deadline)
            delay = min(2 * delay, delay_max)
            try:
                sock.send(json.dumps({**request, "attempt": attempt}).encode())
                while True:
                    sock.settimeout(max(retry_at - time.monotonic(), 0))
                    reply = json.loads(sock.recv(1200))
                    if reply["re"] != seq:
                        continue  # for a process that used this port before
                    if reply.get("code") == "storage_failed":
                        continue  # not final: the same request is sent again
                    if reply["status"] == "error" and op not in ("heartbeat", "close"):
                        sys.exit(f"{op}: {reply['code']}, {reply['message']}")
                    if reply["status"] != "queued":
                        return reply
                    # Queued: the grant arrives unrequested, or as the reply to a poll.
                    delay = delay_max = poll_interval
                    deadline = time.monotonic() + timeout
            except OSError:  # no reply in time, or no server at this address at the moment
                time.sleep(max(retry_at - time.monotonic(), 0))
            if time.monotonic() >= deadline:
                raise TimeoutError(f"no reply to {op}")

def send_heartbeats(interval):
    while True:
        try:
            call("heartbeat", timeout=interval)
            time.sleep(interval)
        except TimeoutError:
            pass  # the next heartbeat is a new request, because a duplicate might renew nothing

hello = {"client": name, "nonce": secrets.token_hex(8)}
welcome = call("hello", **hello)
if welcome["status"] == "retry":  # the server verifies that it can reach this address
    welcome = call("hello", **hello, cookie=welcome["cookie"])
session["session"], poll_interval = welcome["session"], welcome["poll_ms"] / 1000
threading.Thread(target=send_heartbeats, args=[welcome["heartbeat_ms"] / 1000], daemon=True).start()

granted = call("acquire_lock", lock=file, wait_ms=600_000)
while granted["lease_ms"] == 0:  # the tenure ended before this reply arrived
    granted = call("acquire_lock", lock=file, wait_ms=600_000)
appended = call("append_file", file=file, token=granted["token"], data=line + "\n")
call("release_lock", lock=file, token=granted["token"])
call("close")  # if its reply is lost, the retransmission is answered with unknown_session
print(f"{appended['len']} bytes at offset {appended['offset']}, token {granted['token']}")
