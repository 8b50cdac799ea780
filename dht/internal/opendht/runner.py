# A node of OpenDHT's library, driven by JSON lines on standard input; it answers each with one on standard output.
import json, os, sys, threading, time
import opendht as dht

port, host, boot = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
node = dht.DhtRunner()
node.run(port=port)
if host:
    node.bootstrap(host, str(boot))
out = threading.Lock()

def answer(**fields):
    with out:
        print(json.dumps(fields), flush=True)

def place(text):
    return dht.InfoHash.get(text)

def bench(count, parallel, start):
    """Runs start(i, done) for each i, with at most parallel under way; returns micros of each and seconds of all."""
    slots, micros, over = threading.Semaphore(parallel), [0] * count, threading.Semaphore(0)
    failed = [0]
    begin = time.monotonic()
    for i in range(count):
        slots.acquire()
        t = time.monotonic()
        def done(ok, i=i, t=t):
            micros[i] = int((time.monotonic() - t) * 1e6)
            if not ok:
                failed[0] += 1
            slots.release()
            over.release()
        start(i, done)
    for _ in range(count):
        over.acquire()
    return micros, time.monotonic() - begin, failed[0]

def do(r):
    if r["do"] == "put":
        node.put(place(r["key"]), dht.Value(bytes.fromhex(r["data"])),
                 lambda ok, nodes: answer(n=r["n"], ok=ok))
    elif r["do"] == "get":
        values = []
        def got(v):
            values.append(v.data.hex())
            return True
        node.get(place(r["key"]), got, lambda ok, nodes: answer(n=r["n"], ok=ok, values=values))
    elif r["do"] == "benchput":
        data = os.urandom(r["size"])
        def start(i, done):
            node.put(place(r["name"] + str(i)), dht.Value(data), lambda ok, nodes: done(ok))
        micros, total, failed = bench(r["count"], r["parallel"], start)
        answer(n=r["n"], ok=failed == 0, micros=micros, time=total)
    elif r["do"] == "benchget":
        def start(i, done):
            found = []
            node.get(place(r["name"] + str(i)), lambda v: found.append(1) or True, lambda ok, nodes: done(bool(found)))
        micros, total, failed = bench(r["count"], r["parallel"], start)
        answer(n=r["n"], ok=failed == 0, micros=micros, time=total)

answer(n=0, state="ready")
for line in sys.stdin:
    r = json.loads(line)
    threading.Thread(target=do, args=(r,), daemon=True).start()
