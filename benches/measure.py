#!/usr/bin/env python3
"""Measures a tsm binary against the floor of the machine, and against PM2 and supervisord. Called by compare.sh.

Rounds are interleaved and medians are printed. Only the standard library.
"""

import argparse
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import agents
import daemon
import shell
from kit import MS, PATIENCE, Bench, Wrong, machine, median, say
from peers import Pm2, Supervisord, Tsm


class Shell:
    """A warm bash that starts programs in the background."""

    def __init__(self, bench):
        self.bench = bench
        self.bash = subprocess.Popen(["bash", "--norc", "--noprofile"], env=bench.env, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, bufsize=0)

    def start(self):
        begin = time.perf_counter_ns()
        self.bash.stdin.write(f"setsid {self.bench.stamp} {self.bench.fifo_path} </dev/null >/dev/null 2>&1 & echo\n".encode())
        self.bash.stdout.read(1)
        returned = time.perf_counter_ns()
        pid, ran = self.bench.stamped()
        return pid, ran - begin, returned - begin

    def close(self):
        self.bash.stdin.close()
        self.bash.wait()


def floor_start(bench):
    """A `bash -c` that puts the program into the background."""
    argv = ["/bin/bash", "--norc", "--noprofile", "-c", f"setsid {bench.stamp} {bench.fifo_path} >/dev/null 2>&1 &"]
    begin = time.perf_counter_ns()
    bash = bench.spawn(argv)
    bench.reap(bash, argv)
    returned = time.perf_counter_ns()
    pid, ran = bench.stamped()
    return pid, ran - begin, returned - begin


def floor_stop(bench, pid):
    """The kernel's own time to end the stamp."""
    handle = os.pidfd_open(pid)
    begin = time.perf_counter_ns()
    os.kill(pid, signal.SIGTERM)
    (ended,) = bench.times_of_end([handle])
    bench.foreign.discard(pid)
    return ended - begin


def managed_start(manager):
    bench = manager.bench
    begin = time.perf_counter_ns()
    client = bench.spawn(manager.start, manager.env)
    bench.reap(client, manager.start)
    returned = time.perf_counter_ns()
    pid, ran = bench.stamped()
    return pid, ran - begin, returned - begin


def managed_stop(manager, pid):
    bench = manager.bench
    handle = os.pidfd_open(pid)
    begin = time.perf_counter_ns()
    client = bench.spawn(manager.stop, manager.env)
    dead, returned = bench.times_of_end([handle, os.pidfd_open(client)])
    bench.reap(client, manager.stop)
    return dead - begin, returned - begin


def start_and_stop(bench, managers):
    say("start and stop")
    shell = Shell(bench)
    taken = {}

    def note(key, value):
        taken.setdefault(key, []).append(value)

    for turn in range(bench.args.rounds):
        for key, start in (("floor", lambda: floor_start(bench)), ("shell", shell.start)):
            pid, ran, returned = start()
            bench.foreign.add(pid)
            note((key, "ran"), ran)
            note((key, "returned"), returned)
            note(("floor", "dead"), floor_stop(bench, pid))
        for manager in managers:
            if manager.name != "tsm" and turn >= bench.args.peer_rounds:
                continue
            pid, ran, returned = managed_start(manager)
            time.sleep(0.02)  # the start's own last work is not part of the stop
            dead, stopped = managed_stop(manager, pid)
            for what, value in (("ran", ran), ("returned", returned), ("dead", dead), ("stopped", stopped)):
                note((manager.name, what), value)
            manager.forget()
    shell.close()
    of = lambda who, what: median(taken[(who, what)])
    peers = lambda what: {m.name: of(m.name, what) for m in managers if m.name != "tsm"}
    bench.row("start until the program runs", of("tsm", "ran"), "ms", of("floor", "ran"), ratio=1.5, peers=peers("ran"))
    bench.row("start until the call returns", of("tsm", "returned"), "ms", of("floor", "returned"), ratio=2, peers=peers("returned"))
    bench.row("start until the program runs; floor: & inside a warm bash", of("tsm", "ran"), "ms", of("shell", "ran"))
    bench.row("stop until dead", of("tsm", "dead"), "ms", of("floor", "dead"), most=2, peers=peers("dead"))
    bench.row("stop until the call returns", of("tsm", "stopped"), "ms", most=4, peers=peers("stopped"))


def crash(bench, managers):
    say("crash and restart")
    taken = {}
    for turn in range(bench.args.rounds // 2):
        for manager in managers:
            if manager.name != "tsm" and turn >= bench.args.peer_rounds:
                continue
            pid, _, _ = managed_start(manager)
            time.sleep(0.05)
            begin = time.perf_counter_ns()
            os.kill(pid, signal.SIGKILL)
            _, ran = bench.stamped()
            taken.setdefault(manager.name, []).append(ran - begin)
            manager.forget()
    peers = {name: median(values) for name, values in taken.items() if name != "tsm"}
    bench.row("first crash until the new program runs", median(taken["tsm"]), "ms", most=3, peers=peers)


def listing(bench, managers):
    there = 0
    for count, ratio in ((0, 1), (100, 3), (1000, 20)):
        if bench.args.quick and count > 100:
            say("  list with 1000 processes is left out of --quick")
            break
        say(f"list with {count} processes")
        for number in range(there, count):
            argv = [bench.tsm, "start", "--name", f"l{number}", bench.idle]
            bench.reap(bench.spawn(argv), argv)
        there = count
        if count:
            bench.until_online(count)
        peers = [m for m in managers if m.name != "tsm"] if count == 100 else []
        for peer in peers:
            peer.many(count)
        taken = {"tsm": [], "floor": [], **{peer.name: [] for peer in peers}}
        for turn in range(bench.args.rounds):
            taken["floor"].append(bench.timed(["/bin/true"]))
            taken["tsm"].append(bench.timed([bench.tsm, "list"]))
            for peer in peers:
                if turn < bench.args.peer_rounds:
                    taken[peer.name].append(bench.timed(peer.list, peer.env))
        for peer in peers:
            if peer.name == "PM2":
                peer.forget()
        bench.row(f"list with {count} processes", median(taken["tsm"]), "ms", median(taken["floor"]), ratio=ratio,
                  peers={peer.name: median(taken[peer.name]) for peer in peers})
    if there:
        bench.clear()


def private_kb(pid):
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_Clean:", "Private_Dirty:")))


def run_ns(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def switches(pid):
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches:"))


def idle(bench, managers):
    say("20 idle supervisors")
    seconds = 5 if bench.args.quick else 20
    count = 20
    bench.start_idle(count, "m")
    supervisors = [one["supervisor_pid"] for one in bench.until_online(count)]
    time.sleep(12)  # until the pauses of the log-size timer have grown to their longest
    kilobytes = [private_kb(pid) for pid in supervisors]
    peers = {}
    for peer in (m for m in managers if m.name != "tsm"):
        peer.many(count)
        time.sleep(5)
        peers[peer.name] = private_kb(peer.daemon()) / count
        if peer.name == "PM2":
            peer.forget()
    bench.row("private memory of one idle supervisor", statistics.median(kilobytes), "KB", most=100, peers=peers,
              note=f" (largest of {count}: {max(kilobytes)} KB)")
    before = [(run_ns(pid), switches(pid)) for pid in supervisors]
    time.sleep(seconds)
    after = [(run_ns(pid), switches(pid)) for pid in supervisors]
    cpu = sum(b[0] - a[0] for a, b in zip(before, after)) / MS
    wakes = sum(b[1] - a[1] for a, b in zip(before, after))
    bench.row(f"CPU of {count} idle supervisors in {seconds} s", cpu, "ms", most=10 * seconds / 20)
    # One look at the log in 5 s each, and one that may fall on either end.
    bench.row(f"wake-ups of {count} idle supervisors in {seconds} s", wakes, "", most=count * (seconds // 5 + 1) + 1)
    bench.clear()


def bursts(bench):
    for at_a_time, most in ((1, 600), (2, 450)):
        say(f"100 starts, {at_a_time} at a time")
        taken = []
        for _ in range(bench.args.bursts):
            running = {}
            begin = time.perf_counter_ns()
            for number in range(100):
                argv = [bench.tsm, "start", "--name", f"b{number}", bench.idle]
                running[bench.spawn(argv)] = argv
                if len(running) == at_a_time:
                    first_of(bench, running)
            while running:
                first_of(bench, running)
            taken.append(time.perf_counter_ns() - begin)
            found = bench.until_online(100)
            if {one["id"] for one in found} != set(range(100)) or len({one["name"] for one in found}) != 100:
                raise Wrong("100 starts did not give 100 IDs and names")
            bench.clear()
        bench.row(f"100 starts, {at_a_time} at a time", median(taken), "ms", most=most)


def first_of(bench, running):
    """Waits for one of our own children; a peer's server, which is one too, is none of them."""
    while True:
        for pid in list(running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                bench.judge(status, running.pop(pid))
                return
        handles = [os.pidfd_open(pid) for pid in running]
        select.select(handles, [], [])
        for handle in handles:
            os.close(handle)


def log_lines(bench):
    count = 200_000 if bench.args.quick else 2_000_000
    size = count * 100 // 1_000_000
    say(f"{size} MB of log lines")
    plain = bench.scratch / "plain.log"
    # As it is by default, but that no rotated file is thrown away: every line is looked for afterwards.
    start = [bench.tsm, "start", "--name", "w", "--log-keep", "1000", bench.lines, str(count), bench.fifo_path]
    ours, floor = [], []
    for _ in range(bench.args.log_rounds):
        plain.unlink(missing_ok=True)
        os.sync()
        out = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        argv = [bench.lines, str(count), bench.fifo_path]
        writer = os.posix_spawn(argv[0], argv, bench.env, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
        floor.append(bench.stamped()[1])
        bench.reap(writer, argv)
        os.close(out)
        os.sync()
        bench.reap(bench.spawn(start), start)
        ours.append(bench.stamped()[1])
        end = time.monotonic() + PATIENCE
        while bench.processes()[0]["status"] != "exited":
            if time.monotonic() >= end:
                raise Wrong("the writer does not end")
            time.sleep(0.05)
        same_bytes(plain, bench.dir / "logs", "w.log")
        bench.clear()
    bench.row(f"{size} MB of log lines, the writer's time", median(ours), "ms", median(floor), ratio=1.1, note=", every line there")


def same_bytes(plain, logs, name):
    """Fails unless the rotated files and the live one, joined, are the file that was written directly."""
    rotated = sorted((int(path.suffix[1:]), path) for path in logs.glob(f"{name}.*") if path.suffix[1:].isdigit())
    with plain.open("rb") as expected:
        for path in [path for _, path in reversed(rotated)] + [logs / name]:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    if expected.read(len(chunk)) != chunk:
                        raise Wrong(f"{path} has other lines than were written")
        if expected.read(1):
            raise Wrong("lines are missing from the log")


ROWS = {
    "start": start_and_stop,
    "crash": crash,
    "list": listing,
    "idle": idle,
    "bursts": lambda bench, _: bursts(bench),
    "log": lambda bench, _: log_lines(bench),
    **shell.ROWS,
    **daemon.ROWS,
    **agents.ROWS,
}


def main():
    parser = argparse.ArgumentParser(description="Measures a tsm binary; see benches/README.md")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--peers", type=Path, help="a directory with npm/ and venv/, as compare.sh makes it")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--only", choices=sorted(ROWS), action="append")
    args = parser.parse_args()
    args.rounds, args.bursts, args.log_rounds, args.peer_rounds = (10, 1, 1, 3) if args.quick else (100, 5, 5, 10)

    # Short, so that no socket's path is too long for its address.
    with tempfile.TemporaryDirectory(prefix="tsmb.", ignore_cleanup_errors=True) as scratch:
        bench, managers = None, []
        try:
            bench = Bench(args, Path(scratch).resolve())
            described = machine(bench)
            managers.append(Tsm(bench))
            if args.peers:
                managers.append(Pm2(bench, args.peers / "npm"))
                managers.append(Supervisord(bench, args.peers / "venv"))
            for name, measure in ROWS.items():
                if not args.only or name in args.only:
                    measure(bench, managers)
        except Wrong as wrong:
            say(f"measure.py: {wrong}")
            return 2
        except KeyboardInterrupt:
            return 130
        finally:
            for manager in managers:
                manager.close()
            if bench:
                bench.end()
    print(described + "\n")
    bench.print()
    return 1 if any(cells[5] == "NO" for cells in bench.rows) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
