"""Agents and capture: what a look at sessions with long conversations costs, a hook of an agent, and a commit."""

import json
import os
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from daemon import Daemon, request
from kit import MS, Wrong, median, say

COUNT = 20  # sessions
SIZE = 50  # megabytes of each conversation


def record(kind, number, cwd, session, at, **more):
    return json.dumps({
        "parentUuid": f"{session}-{number - 1}" if number else None, "isSidechain": False, "userType": "external", "cwd": cwd,
        "sessionId": session, "version": "2.1.141", "gitBranch": "main", "type": kind, "uuid": f"{session}-{number}",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), **more}) + "\n"


def write_transcript(path, cwd, session, size):
    """A conversation that has just ended its turn, over and over with tools, long results in it."""
    said = {"type": "message", "role": "assistant", "model": "claude-x", "usage": {"input_tokens": 1, "output_tokens": 1}}
    with path.open("w") as file:
        number = 0
        while file.tell() < size:
            at = datetime.now(timezone.utc) - timedelta(minutes=5)
            for kind, more in (
                ("user", {"message": {"role": "user", "content": "mend the login, please"}}),
                ("assistant", {"message": {**said, "id": f"m{number}", "stop_reason": None, "content": [
                    {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": "cat src/login.rs"}}]}}),
                ("user", {"message": {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": f"t{number}", "content": "let x = 1;\\n" * 800}]}}),
                ("assistant", {"message": {**said, "id": f"n{number}", "stop_reason": "end_turn", "content": [
                    {"type": "text", "text": "It is mended."}]}}),
            ):
                file.write(record(kind, number, cwd, session, at, **more))
                number += 1
        file.flush()
        os.fsync(file.fileno())


class Place:
    """A home with sessions: processes that are called claude, and their conversations."""

    def __init__(self, bench):
        self.bench, self.agents, self.transcripts = bench, [], []
        size = (2 if bench.args.quick else SIZE) << 20
        say(f"  {COUNT} conversations of {size >> 20} MB")
        claude = bench.home / ".local/bin/claude"
        claude.parent.mkdir(parents=True)
        claude.symlink_to(bench.idle)
        registry = bench.home / ".claude/sessions"
        registry.mkdir(parents=True)
        for number in range(COUNT):
            cwd = bench.work / f"project{number}"
            cwd.mkdir()
            session = f"00000000-0000-4000-8000-{number:012}"
            folder = bench.home / ".claude/projects" / re.sub(r"[^A-Za-z0-9]", "-", str(cwd.resolve()))
            folder.mkdir(parents=True)
            path = folder / f"{session}.jsonl"
            write_transcript(path, str(cwd.resolve()), session, size)
            self.transcripts.append(path)
            agent = subprocess.Popen([claude], cwd=cwd, env=bench.env, stdin=subprocess.DEVNULL)
            self.agents.append(agent)
            # Half of them say themselves what they do; of the others it stands in the conversation.
            if number % 2:
                start = Path(f"/proc/{agent.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
                now = int(time.time() * 1000)
                (registry / f"{agent.pid}.json").write_text(json.dumps({
                    "pid": agent.pid, "procStart": int(start), "sessionId": session, "cwd": str(cwd.resolve()),
                    "startedAt": now - 600_000, "status": "waiting", "statusUpdatedAt": now, "version": "2.1.141"}))

    def forget(self):
        """Has the kernel drop the conversations from memory."""
        for path in self.transcripts:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)

    def close(self):
        for agent in self.agents:
            agent.kill()
            agent.wait()
        shutil.rmtree(self.bench.home / ".claude", ignore_errors=True)


def check(sessions):
    if len(sessions) != COUNT or any(one["state"] != "needs-input" or not one["session_id"] for one in sessions):
        raise Wrong(f"{COUNT} sessions should wait: {[(one['pid'], one['state'], one['reason']) for one in sessions]}")


def looks(bench, place):
    rounds = 5 if bench.args.quick else 20
    argv = [bench.tsm, "agents", "--json"]
    check(json.loads(bench.run("agents", "--json")))
    warm, cold, floor = [], [], []
    for _ in range(rounds):
        floor.append(bench.timed(["/bin/true"]))
        warm.append(bench.timed(argv))
        place.forget()
        cold.append(bench.timed(argv))
    true = median(floor)
    size = place.transcripts[0].stat().st_size >> 20
    what = f"tsm agents, {COUNT} sessions of {size} MB"
    bench.row(f"{what}; floor: /bin/true", median(warm), "ms", true, most=30)
    bench.row(f"{what}, not in the page cache", median(cold), "ms", true)


def over_the_socket(bench, place):
    rounds = 20 if bench.args.quick else 200
    daemon = Daemon(bench)
    try:
        listed, fresh = request("agents.list"), request("agents.list", fresh=True)
        client = daemon.connect()
        client.sendall((fresh + "\n").encode())
        check(json.loads(client.makefile().readline())["result"])
        client.close()
        young, old, anew = [], [], []
        for _ in range(5 if bench.args.quick else 20):
            young.append(daemon.ask(listed, 20)[1])
            anew.append(daemon.ask(fresh, 10)[1])
            time.sleep(1.1)
            old.append(daemon.ask(listed, 1)[1])
        bench.row(f"agents.list of {COUNT} over the socket", median(young), "ms", most=5)
        bench.row(f"agents.list of {COUNT} over the socket, the first in a second", median(old), "ms", most=5)
        bench.row("a look that finds nothing new, asked for over the socket", median(anew), "ms", most=2)
        opened = read_by_looks(daemon, fresh, rounds)
        if opened is not None:
            bench.row(f"opened conversations in {rounds} such looks", opened, "", most=1)
        time.sleep(6)
        resident, private = daemon.memory()
        bench.row(f"daemon with {COUNT} sessions: resident memory", resident, "KB", most=4000, note=f" (private: {private} KB)")
        seconds, before = (5 if bench.args.quick else 20), daemon.threads()
        time.sleep(seconds)
        after = daemon.threads()
        share = (after[0] - before[0]) / (seconds * 1e9) * 100
        bench.row(f"daemon with {COUNT} sessions: share of a processor in {seconds} s", share, "%", most=0.1)
    finally:
        daemon.close()


def read_by_looks(daemon, fresh, rounds):
    """How many conversations the daemon opens while it looks so often; none where strace is not there, or may not."""
    if not shutil.which("strace"):
        return None
    log = daemon.bench.scratch / "strace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=openat,open", "-o", log, "-p", str(daemon.pid)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not (log.exists() and log.stat().st_size):
            if strace.poll() is not None or time.monotonic() > end:
                return None
            daemon.ask(fresh, 1)
        daemon.ask(fresh, rounds)
    finally:
        strace.terminate()
        strace.wait()
    return sum("/.claude/projects/" in line and ".jsonl" in line for line in log.read_text(errors="replace").splitlines())


def hook(bench):
    """What an agent waits for at each of its events; the event is on standard input."""
    event = bench.scratch / "event.json"
    argv, taken, floor = [bench.tsm, "agents", "hook"], [], []
    for number in range(20 if bench.args.quick else 200):
        event.write_text(json.dumps({
            "session_id": f"00000000-0000-4000-8000-{number % COUNT:012}", "cwd": str(bench.work), "hook_event_name": "PreToolUse",
            "transcript_path": "/x.jsonl", "tool_name": "Bash", "tool_input": {"command": "ls"}}))
        fds = [(os.POSIX_SPAWN_OPEN, 0, str(event), os.O_RDONLY, 0), *bench.fds[1:]]
        begin = time.perf_counter_ns()
        pid = os.posix_spawn(argv[0], argv, bench.env, file_actions=fds)
        bench.reap(pid, argv)
        taken.append(time.perf_counter_ns() - begin)
        floor.append(bench.timed(["/bin/true"]))
    worst = sorted(taken)[len(taken) * 99 // 100] / MS
    bench.row("tsm agents hook; floor: /bin/true", median(taken), "ms", median(floor), most=5, note=f" (99 of 100: {worst:.2f} ms)")


def commits(bench):
    """A commit with the hook over one without, with and without a daemon."""
    env = {**bench.env, "PATH": f"{Path(bench.tsm).parent}:{bench.env['PATH']}", "GIT_CONFIG_GLOBAL": "/dev/null"}
    names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "gc.auto=0"]
    git = shutil.which("git")
    repos = {name: bench.work / f"repo-{name}" for name in ("bare", "hook")}
    for path in repos.values():
        subprocess.run([git, "init", "-q", path], env=env, check=True)
    installed = subprocess.run([bench.tsm, "capture", "install"], cwd=repos["hook"], env=env, capture_output=True, text=True)
    if installed.returncode != 0:
        raise Wrong(f"tsm capture install: {installed.stderr}")

    def commit(name):
        argv = [git, "-C", str(repos[name]), *names, "commit", "-q", "--allow-empty", "-m", "x"]
        return bench.timed(argv, env)

    for what, daemon in (("no daemon", None), ("a daemon", Daemon)):
        running = daemon and daemon(bench)
        try:
            taken = {"bare": [], "hook": []}
            for _ in range(10 if bench.args.quick else 100):
                for name, times in taken.items():
                    times.append(commit(name))
            more = sorted(a - b for a, b in zip(taken["hook"], taken["bare"]))
            note = f" (99 of 100: {more[len(more) * 99 // 100] / MS:.1f} ms)"
            bench.row(f"what the hook adds to a commit, {what}", median(more), "ms", most=100, note=note)
            bench.row(f"a commit with the hook, {what}; floor: one without", median(taken["hook"]), "ms", median(taken["bare"]))
        finally:
            if running:
                running.close()


def measure(bench, _):
    say(f"{COUNT} agents")
    place = Place(bench)
    try:
        looks(bench, place)
        over_the_socket(bench, place)
        hook(bench)
    finally:
        place.close()
    commits(bench)


ROWS = {"agents": measure}
