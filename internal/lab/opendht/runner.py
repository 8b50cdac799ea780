# A node of OpenDHT's library, driven by JSON lines on standard input; it answers each with one on standard output.
import json, sys, threading
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

answer(n=0, state="ready")
for line in sys.stdin:
    r = json.loads(line)
    threading.Thread(target=do, args=(r,), daemon=True).start()
