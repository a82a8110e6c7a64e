"""The lock server of a first exercise: JSON over UDP, one thread per request, state in memory."""
import json
import socket
import threading

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
holders = {}
guard = threading.Lock()


def decide(request):
    lock, client = request["lock"], request["client"]
    with guard:
        holder = holders.get(lock)
        if request["op"] == "acquire":
            if holder not in (None, client):
                return {"status": "held", "by": holder}
            holders[lock] = client
            return {"status": "granted", "lock": lock}
        if request["op"] == "release":
            if holder != client:
                return {"status": "not_holder"}
            del holders[lock]
            return {"status": "released", "lock": lock}
    return {"status": "unknown"}


def answer(datagram, sender):
    request = json.loads(datagram)
    reply = {"re": request["id"], **decide(request)}
    sock.sendto(json.dumps(reply).encode(), sender)


print(sock.getsockname()[1], flush=True)
while True:
    datagram, sender = sock.recvfrom(2048)
    threading.Thread(target=answer, args=(datagram, sender), daemon=True).start()
