"""What every measurement needs: a throwaway directory, the started programs, clocks, and the table of results."""

import contextlib
import json
import os
import platform
import select
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MS = 1e6  # nanoseconds
PATIENCE = 20  # seconds until a process that does not appear is an error


class Wrong(Exception):
    """A measured program did not do what it should."""


class Bench:
    """The throwaway directory, the programs in it, and the table that is being filled."""

    def __init__(self, args, scratch):
        self.args, self.scratch = args, scratch
        self.tsm = str(Path(args.binary).resolve())
        self.home, self.dir, self.work = scratch / "home", scratch / "t", scratch / "work"
        for made in (self.home, self.work):
            made.mkdir()
        os.chdir(self.work)
        # Small, because a supervisor keeps the environment that it was started with.
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "TSM_DIR": str(self.dir)}
        self.fifo_path = str(scratch / "fifo")
        os.mkfifo(self.fifo_path)
        self.fifo = os.open(self.fifo_path, os.O_RDWR)
        self.errors = str(scratch / "errors")
        self.fds = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, self.errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
        self.pending = b""
        self.stamp, self.idle, self.lines = (self.compile(name) for name in ("stamp", "idle", "lines"))
        self.rows = []
        self.foreign = set()  # PIDs of stamps that no manager ends

    def compile(self, name):
        """The path of the program NAME.c of this directory."""
        source = HERE / f"{name}.c"
        for static in (["-static"], []):
            made = subprocess.run(["cc", "-O2", "-w", *static, "-o", self.scratch / name, source],
                                  capture_output=True, text=True)
            if made.returncode == 0:
                return str(self.scratch / name)
        raise Wrong(f"cc cannot compile {name}.c: {made.stderr}")

    # ---- running things ------------------------------------------------------------------------------------------

    def spawn(self, argv, env=None):
        return os.posix_spawn(argv[0], argv, env or self.env, file_actions=self.fds)

    def reap(self, pid, argv):
        self.judge(os.waitpid(pid, 0)[1], argv)

    def judge(self, status, argv):
        if status != 0:
            said = Path(self.errors).read_text(errors="replace").strip()
            raise Wrong(f"exit {os.waitstatus_to_exitcode(status)}: {' '.join(argv)}: {said}")

    def timed(self, argv, env=None):
        """Nanoseconds from the spawn of `argv` to its end."""
        begin = time.perf_counter_ns()
        pid = self.spawn(argv, env)
        self.reap(pid, argv)
        return time.perf_counter_ns() - begin

    def run(self, *words):
        """The output of tsm."""
        ran = subprocess.run([self.tsm, *words], env=self.env, capture_output=True, text=True)
        if ran.returncode != 0:
            raise Wrong(f"exit {ran.returncode}: tsm {' '.join(words)}: {ran.stderr}")
        return ran.stdout

    def stamped(self):
        """The PID and the number that a program wrote to the FIFO."""
        end = time.monotonic() + PATIENCE
        while b"\n" not in self.pending:
            if not select.select([self.fifo], [], [], max(0, end - time.monotonic()))[0]:
                raise Wrong(f"no program ran within {PATIENCE} s")
            self.pending += os.read(self.fifo, 4096)
        line, self.pending = self.pending.split(b"\n", 1)
        pid, number = line.split()
        return int(pid), int(number)

    def times_of_end(self, handles):
        """When the process of each pidfd ended, in their order; closes them."""
        poll = select.poll()
        for handle in handles:
            poll.register(handle, select.POLLIN)
        ended = {}
        while len(ended) < len(handles):
            ready = poll.poll(PATIENCE * 1000)
            now = time.perf_counter_ns()
            if not ready:
                raise Wrong(f"a process did not end within {PATIENCE} s")
            for handle, _ in ready:
                ended[handle] = now
                poll.unregister(handle)
                os.close(handle)
        return [ended[handle] for handle in handles]

    def processes(self):
        return json.loads(self.run("list", "all", "--json"))

    def start_idle(self, count, prefix):
        for number in range(count):
            argv = [self.tsm, "start", "--name", f"{prefix}{number}", self.idle]
            self.reap(self.spawn(argv), argv)

    def clear(self):
        self.run("delete", "all", "--purge")

    def until_online(self, count):
        end = time.monotonic() + PATIENCE
        while True:
            found = self.processes()
            if len(found) == count and all(one["status"] == "online" for one in found):
                return found
            if time.monotonic() >= end:
                raise Wrong(f"{count} should be online, these are there: {[(o['name'], o['status']) for o in found]}")
            time.sleep(0.1)

    # ---- the table -----------------------------------------------------------------------------------------------

    def row(self, what, ours, unit, floor=None, most=None, ratio=None, least=None, peers=None, note=""):
        """One line: `most` or `least` is the target of `ours`, `ratio` that of ours over floor."""
        target, met = "-", "-"
        if most is not None:
            target, met = f"under {most:g} {unit}", ours < most
        elif least is not None:
            target, met = f"at least {least:g} {unit}", ours >= least
        elif ratio is not None:
            target, met = f"under {ratio:g}x", ours < ratio * floor
        met = {True: "yes", False: "NO"}.get(met, met)
        fine = {"ms": 2, "%": 3, "us": 1}.get(unit, 0)
        show = lambda value: "-" if value is None else f"{value:.{fine if value < 100 else 0}f} {unit}".strip()
        cells = [what + note, show(ours), show(floor), f"{ours / floor:.2f}x" if floor else "-", target.strip(), met]
        if self.args.peers:
            cells += [show((peers or {}).get(name)) for name in ("PM2", "supervisord")]
        self.rows.append(cells)
        say(f"  {what}: {show(ours)}" + (f", floor {show(floor)}" if floor else ""))

    def print(self):
        head = ["what", "tsm", "floor", "ratio", "target", "met"] + (["PM2", "supervisord"] if self.args.peers else [])
        if self.args.markdown:
            for cells in [head, ["---"] * len(head), *self.rows]:
                print(f"| {' | '.join(cells)} |")
            return
        widths = [max(len(cells[at]) for cells in [head, *self.rows]) for at in range(len(head))]
        for cells in [head, *self.rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())

    # ---- the end -------------------------------------------------------------------------------------------------

    def end(self):
        """Ends what is left: by tsm, then by PID, whatever has this directory in its environment."""
        subprocess.run([self.tsm, "kill", "all"], env=self.env, capture_output=True)
        for pid in self.foreign:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        mark = os.fsencode(str(self.scratch))
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes():
                    say(f"  ending PID {entry.name}, which was left")
                    os.kill(int(entry.name), signal.SIGKILL)


def say(text):
    print(text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values) / MS


def machine(bench):
    cpu = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    fs = max((m for m in mounts if bench.scratch.is_relative_to(m[0])), key=lambda m: len(m[0]))[1]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GB, Linux {platform.release()}, {fs} on {bench.scratch.parent}, "
            f"load {os.getloadavg()[0]:.2f} at the beginning; {bench.run('--version').strip()}, "
            f"{os.path.getsize(bench.tsm) / 1e6:.1f} MB; medians of {bench.args.rounds} interleaved rounds")
