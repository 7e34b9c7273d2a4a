#!/usr/bin/env python3
"""Lists what runs under tsm, then prints each event as it happens. Needs `tsm daemon start`, and no package."""
import json, os, socket

state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
daemon = socket.socket(socket.AF_UNIX)
daemon.connect((os.environ.get("TSM_DIR") or state + "/tsm") + "/daemon/daemon.sock")
lines = daemon.makefile("rw")

def ask(number, method, **params):
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    print(json.dumps(request), file=lines, flush=True)

ask(1, "list")
ask(2, "events.subscribe")  # since=SEQ goes on where an earlier connection ended
for message in map(json.loads, lines):
    for process in message.get("result", []) if message.get("id") == 1 else []:
        print(process["id"], process["name"], process["status"], process["ports"], flush=True)
    if message.get("method") == "event":
        event = message["params"]["event"]
        print(event["seq"], event["name"], event["event"], event["exit"] or "", flush=True)
