"""The shell layer: what it adds to the start of a shell, to a TAB and to a prompt."""

import os
import pty
import select
import shutil
import subprocess
import time

from kit import HERE, PATIENCE, Wrong, median, say

COUNT = 100  # processes
LAYER = str(HERE.parent / "shell/tsm.sh")
BASH = ["/bin/bash", "--norc", "--noprofile"]

# Prints the microseconds of each of so many prompts.
PROMPTS = """
source '%s'
for _ in {1..%d}; do
    from=${EPOCHREALTIME//[!0-9]/}
    tsm_prompt
    printf '%%s\\n' "$((${EPOCHREALTIME//[!0-9]/} - from))"
done
"""


class Terminal:
    """An interactive shell, and the time from a key to what it makes of it."""

    def __init__(self, argv, env, setup):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(argv, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.types(setup + "; echo rea''dy\n")
        self.shows("ready")
        time.sleep(0.2)
        self.forget()

    def types(self, text):
        os.write(self.master, text.encode())

    def shows(self, wanted):
        """When it stood there."""
        seen, end = "", time.monotonic() + PATIENCE
        while wanted not in seen:
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise Wrong(f"a shell does not show {wanted!r}, but {seen!r}")
            seen += os.read(self.master, 1 << 16).decode(errors="replace")
        return time.perf_counter_ns()

    def forget(self):
        while select.select([self.master], [], [], 0.02)[0]:
            os.read(self.master, 1 << 16)

    def tab(self, line, wanted):
        """Nanoseconds from TAB behind `line` until `wanted` stands there; the line is taken back."""
        self.types(line)
        self.shows(line[-1])
        self.forget()
        begin = time.perf_counter_ns()
        self.types("\t")
        took = self.shows(wanted) - begin
        self.types("\x15")
        self.forget()
        return took

    def close(self):
        os.close(self.master)
        self.process.kill()
        self.process.wait()


def sourcing(bench, _):
    say("sourcing shell/tsm.sh")
    bare, with_layer = [], []
    for _ in range(bench.args.rounds):
        bare.append(bench.timed([*BASH, "-c", ":"]))
        with_layer.append(bench.timed([*BASH, "-c", f"source '{LAYER}'"]))
    bench.row("sourcing shell/tsm.sh, over a bare bash", median(with_layer) - median(bare), "ms", median(bare), most=5)


def keys(bench, _):
    """With 100 processes, of which a TAB finds one, and all; and the prompt."""
    say(f"a TAB and a prompt with {COUNT} processes")
    (bench.scratch / "bin").mkdir()
    (bench.scratch / "bin/tsm").symlink_to(bench.tsm)
    env = dict(bench.env, TERM="dumb", PS1="> ", ZDOTDIR=str(bench.home), PATH=f"{bench.scratch}/bin:{bench.env['PATH']}")
    for number in range(COUNT):
        bench.run("start", "--name", f"k{number}z", bench.idle)
    bench.until_online(COUNT)
    # A copy, because in a checkout the layer would take the binary that was built there.
    layer = bench.scratch / "layer/shell"
    shutil.copytree(HERE.parent / "shell", layer)
    shells = [("bash", [*BASH, "-i"], f"source '{layer}/tsm.sh'; f() {{ COMPREPLY=(k42z); }}; complete -F f g")]
    if zsh := shutil.which("zsh"):
        shells.append(("zsh", [zsh, "-f", "-i"], "autoload -Uz compinit && compinit -D -u && source <(tsm completions zsh)"
                       " && unsetopt list_beep && g() { :; } && f() { compadd k42z; } && compdef f g"))
    for name, argv, setup in shells:
        terminal = Terminal(argv, env, setup)
        taken = {"floor": [], "one": [], "all": []}
        try:
            for _ in range(max(5, bench.args.rounds // 2)):
                taken["floor"].append(terminal.tab("g k4", "2z "))
                taken["one"].append(terminal.tab("tsm stop k42", "z "))
                if name == "bash":
                    taken["all"].append(terminal.tab("tsm stop k", "\a"))
        finally:
            terminal.close()
        floor = median(taken["floor"])
        bench.row(f"a TAB in {name} that finds one of {COUNT}; floor: one of a function", median(taken["one"]), "ms", floor, most=10)
        if taken["all"]:
            bench.row(f"a TAB in {name} that finds all {COUNT}", median(taken["all"]), "ms", floor, most=10)
    if fish := shutil.which("fish"):
        # Its screen is drawn when it likes, so that it is asked without one.
        calls, fill = 20, "tsm completions fish | source; for i in (seq %d); complete -C 'tsm stop k42'; end"
        found = subprocess.run([fish, "--no-config", "-c", fill % 1], env=env, capture_output=True, text=True).stdout
        if not found.startswith("k42z"):
            raise Wrong(f"fish finds {found!r}")
        taken = {0: [], calls: []}
        for _ in range(max(3, bench.args.rounds // 10)):
            for count, times in taken.items():
                times.append(bench.timed([fish, "--no-config", "-c", fill % count], env))
        each = (median(taken[calls]) - median(taken[0])) / calls
        bench.row(f"a TAB in fish that finds one of {COUNT}, without its screen", each, "ms", most=10)
    ran = subprocess.run([*BASH, "-c", PROMPTS % (LAYER, bench.args.rounds)], env=dict(bench.env, LC_ALL="C.UTF-8"),
                         capture_output=True, text=True)
    took = [int(line) * 1000 for line in ran.stdout.split()]
    if ran.returncode != 0 or len(took) != bench.args.rounds:
        raise Wrong(f"tsm_prompt: {ran.stdout}{ran.stderr}")
    bench.row(f"tsm_prompt with {COUNT} processes", median(took), "ms", most=5)
    bench.clear()


ROWS = {"source": sourcing, "keys": keys}
