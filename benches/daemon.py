"""The daemon: what it costs while nothing happens, how fast it answers and tells, and whether it grows."""

import contextlib
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

from kit import PATIENCE, Wrong, median, say

COUNT = 100  # processes
US = 1e3  # nanoseconds


def request(method, **params):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, separators=(",", ":"))


class Daemon:
    """`tsm daemon run` without its limit of requests a second."""

    def __init__(self, bench):
        self.bench = bench
        self.socket = str(bench.dir / "daemon/daemon.sock")
        self.rpc, self.echo = bench.compile("rpc"), bench.compile("echo")
        self.errors = open(bench.scratch / "daemon-errors", "wb")
        self.process = subprocess.Popen([bench.tsm, "daemon", "run", "--no-startup", "--unlimited"], env=bench.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        self.pid = self.process.pid
        self.connect().close()
        # The floor: a server that does nothing else.
        self.echo_socket = str(bench.scratch / "echo.sock")
        self.echo_process = subprocess.Popen([self.echo, self.echo_socket], stdin=subprocess.PIPE)

    def connect(self):
        end = time.monotonic() + PATIENCE
        while True:
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(self.socket)
                return client
            except OSError as why:
                client.close()
                if time.monotonic() >= end or self.process.poll() is not None:
                    raise Wrong(f"the daemon does not come up: {why}") from why
                time.sleep(0.01)

    def ask(self, text, count, clients=1, at=None):
        """What rpc.c says: total, median, 99th percentile and largest in nanoseconds, and the answer's bytes."""
        ran = subprocess.run([self.rpc, at or self.socket, str(clients), str(count), text], capture_output=True, text=True)
        if ran.returncode != 0:
            raise Wrong(f"rpc {text}: {ran.stdout}{ran.stderr}")
        return [int(word) for word in ran.stdout.split()]

    def memory(self):
        """Resident and private kilobytes."""
        lines = [line.split() for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]]
        of = {words[0]: int(words[1]) for words in lines}
        return of["Rss:"], of["Private_Clean:"] + of["Private_Dirty:"]

    def threads(self):
        """Nanoseconds of processor time, and how often its threads went to sleep: each time one wakes."""
        tasks = list(Path(f"/proc/{self.pid}/task").iterdir())
        ran = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        slept = sum(int(line.split()[1]) for task in tasks for line in (task / "status").read_text().splitlines()
                    if line.startswith("voluntary_ctxt_switches:"))
        return ran, slept

    def close(self):
        self.echo_process.stdin.close()
        self.echo_process.wait()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            raise Wrong("the daemon does not end")
        self.errors.close()


class Subscriber:
    """A client that is told of every event."""

    def __init__(self, daemon):
        self.socket, self.pending, self.seen = daemon.connect(), b"", 0
        self.socket.sendall((request("events.subscribe") + "\n").encode())
        if "error" in json.loads(self.line()):
            raise Wrong("cannot subscribe to events")

    def line(self):
        while b"\n" not in self.pending:
            if not select.select([self.socket], [], [], PATIENCE)[0]:
                raise Wrong("the daemon tells of no event")
            got = self.socket.recv(1 << 16)
            if not got:
                raise Wrong("the daemon has hung up on a subscriber")
            self.pending += got
        line, self.pending = self.pending.split(b"\n", 1)
        return line

    def until(self, name, happening):
        """When the event came."""
        while True:
            line = self.line()
            now = time.perf_counter_ns()
            event = json.loads(line)["params"]["event"]
            self.seen += 1
            if (event["name"], event["event"]) == (name, happening):
                return now

    def drain(self):
        """Passes over what has come."""
        while select.select([self.socket], [], [], 0)[0]:
            self.pending += self.socket.recv(1 << 16)
            whole, _, self.pending = self.pending.rpartition(b"\n")
            self.seen += whole.count(b"\n") + (1 if whole else 0)
        return self.seen


def measure(bench, _):
    say(f"the daemon with {COUNT} processes")
    daemon = Daemon(bench)
    try:
        for number in range(COUNT):
            bench.run("start", "--restart", "no", "--name", f"d{number}", bench.idle)
        bench.until_online(COUNT)
        at_rest(bench, daemon)
        answers(bench, daemon)
        events(bench, daemon)
        growth(bench, daemon)
        bench.clear()
    finally:
        daemon.close()


def at_rest(bench, daemon):
    seconds = 5 if bench.args.quick else 20
    time.sleep(6)  # one look at everything has passed
    resident, private = daemon.memory()
    bench.row(f"daemon at rest, {COUNT} processes: resident memory", resident, "KB", most=4000, note=f" (private: {private} KB)")
    before = daemon.threads()
    time.sleep(seconds)
    after = daemon.threads()
    bench.row(f"daemon at rest, {COUNT} processes: share of a processor in {seconds} s",
              (after[0] - before[0]) / (seconds * 1e9) * 100, "%", most=0.1)
    bench.row(f"daemon at rest, {COUNT} processes: wake-ups in {seconds} s", after[1] - before[1], "")


def answers(bench, daemon):
    rounds, count = (2, 2_000) if bench.args.quick else (10, 10_000)
    ping, listed = request("ping"), request("list")
    taken = {key: [] for key in ("ping", "echo", "ping8", "echo8", "list", "cold", "cli")}
    for _ in range(rounds):
        # A rest first: what the daemon remembers of the kernel's tables is too old then.
        time.sleep(1.2)
        taken["cold"].append(daemon.ask(listed, 1)[1])
        taken["list"].append(daemon.ask(listed, 50)[1])
        taken["cli"] += [bench.timed([bench.tsm, "list", "--json"]) for _ in range(5)]
        taken["echo"].append(daemon.ask(ping, count, at=daemon.echo_socket)[1])
        taken["ping"].append(daemon.ask(ping, count)[1])
        taken["echo8"].append(8 * count / daemon.ask(ping, count, 8, at=daemon.echo_socket)[0] * 1e9)
        taken["ping8"].append(8 * count / daemon.ask(ping, count, 8)[0] * 1e9)
    of = lambda key: statistics.median(taken[key])
    bench.row("ping over a kept connection; floor: an echo in C", of("ping") / US, "us", of("echo") / US, most=50)
    bench.row("pings a second of 8 clients; floor: an echo in C", of("ping8"), "/s", of("echo8"), least=20_000)
    cli = median(taken["cli"])
    bench.row(f"list of {COUNT} over the socket; floor: tsm list --json", median(taken["list"]), "ms", cli, most=1)
    bench.row(f"list of {COUNT} over the socket, the first in a second", median(taken["cold"]), "ms", cli)


def events(bench, daemon):
    """From the signal that ends a program until its subscriber knows."""
    subscriber, taken = Subscriber(daemon), []
    for turn in range(1 if bench.args.quick else 3):
        if turn:
            start_again(bench)
        pids = {one["name"]: one["pid"] for one in bench.until_online(COUNT)}
        for name, pid in pids.items():
            begin = time.perf_counter_ns()
            os.kill(pid, signal.SIGTERM)
            taken.append(subscriber.until(name, "exited") - begin)
    bench.row("an exit until a subscriber knows", median(taken), "ms", most=50,
              note=f" (99 of 100: {sorted(taken)[len(taken) * 99 // 100] / 1e6:.2f} ms)")
    subscriber.socket.close()
    start_again(bench)


def start_again(bench):
    for number in range(COUNT):
        bench.run("start", f"d{number}")
    bench.until_online(COUNT)


def growth(bench, daemon):
    """The resident memory before and after a great many requests and events, the first tenth of which warms up."""
    requests, wanted = (20_000, 200) if bench.args.quick else (1_000_000, 10_000)
    say(f"  {requests} requests")
    for turn in range(11):
        if turn == 1:
            before = daemon.memory()[0]
        # In percent: 80, 15, 1 and 4.
        daemon.ask(request("ping"), requests // 1000 * 10, 8)
        daemon.ask(request("status"), requests // 1000 * 3, 5)
        daemon.ask(request("list"), requests // 2000, 2)
        daemon.ask(request("ping"), requests // 1000 // 10, 40)
        daemon.ask(request("metrics"), 10, 2)
        daemon.ask(request("services.list"), 10, 2)  # a verb: a child of the daemon
    after = daemon.memory()[0]
    bench.row(f"daemon: growth of resident memory over {requests} requests", after - before, "KB", most=64)
    say(f"  {wanted} events")
    subscriber = Subscriber(daemon)
    number, before = 0, None
    while subscriber.drain() < wanted * 11 // 10:
        if before is None and subscriber.seen >= wanted // 10:
            before = daemon.memory()[0]
        name = f"d{number % COUNT}"
        bench.run("stop", name)
        bench.run("start", name)
        number += 1
    after = daemon.memory()[0]
    bench.row(f"daemon: growth of resident memory over {wanted} events", after - before, "KB", most=64)
    subscriber.socket.close()


ROWS = {"daemon": measure}
