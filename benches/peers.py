"""The managers that are compared: the words by which each starts, stops, lists and forgets a program."""

import json
import shutil
import subprocess
import time

from kit import PATIENCE, Wrong


class Tsm:
    name = "tsm"

    def __init__(self, bench):
        self.bench, self.env = bench, bench.env
        self.start = [bench.tsm, "start", bench.stamp, bench.fifo_path]
        self.stop = [bench.tsm, "stop", "work-stamp"]
        self.list = [bench.tsm, "list"]

    def forget(self):
        self.bench.clear()

    def close(self):
        pass


class Pm2:
    name = "PM2"

    def __init__(self, bench, prefix):
        self.bench, self.script = bench, str(prefix / "node_modules/pm2/bin/pm2")
        self.env = dict(bench.env, PM2_HOME=str(bench.scratch / "pm2"))
        self.node = shutil.which("node")
        self.start = self.words("start", bench.stamp, "--name", "s", "--interpreter", "none", "--", bench.fifo_path)
        self.stop = self.words("stop", "s")
        self.list = self.words("list")
        bench.timed(self.words("ping"), self.env)  # its daemon is warm from here on

    def words(self, *words):
        return [self.node, self.script, *words]

    def forget(self):
        self.bench.timed(self.words("delete", "all"), self.env)

    def many(self, count):
        apps = [{"name": f"i{at}", "script": self.bench.idle, "interpreter": "none"} for at in range(count)]
        config = self.bench.scratch / "many.config.json"
        config.write_text(json.dumps({"apps": apps}))
        self.bench.timed(self.words("start", str(config)), self.env)

    def daemon(self):
        return int((self.bench.scratch / "pm2/pm2.pid").read_text())

    def close(self):
        self.bench.timed(self.words("kill"), self.env)


class Supervisord:
    name = "supervisord"

    def __init__(self, bench, venv):
        self.bench, self.venv, self.env = bench, venv, bench.env
        self.config = bench.scratch / "supervisord.conf"
        self.control = [str(venv / "bin/python"), str(venv / "bin/supervisorctl"), "-c", str(self.config)]
        self.start, self.stop, self.list = ([*self.control, *words] for words in (("start", "s"), ("stop", "s"), ("status", "i:*")))
        self.server = None
        self.many(100, autostart=False)

    def many(self, count, autostart=True):
        self.close()
        at = self.bench.scratch
        socket = at / "supervisor.sock"
        common = "startsecs=0\nautorestart=true\nstdout_logfile=AUTO\nredirect_stderr=true\n"
        self.config.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={at}/supervisord.log\npidfile={at}/supervisord.pid\nchildlogdir={at}\n"
            f"[unix_http_server]\nfile={socket}\n[supervisorctl]\nserverurl=unix://{socket}\n"
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[program:s]\ncommand={self.bench.stamp} {self.bench.fifo_path}\nautostart=false\n{common}"
            f"[program:i]\ncommand={self.bench.idle}\nnumprocs={count}\nprocess_name=i%(process_num)d\n"
            f"autostart={'true' if autostart else 'false'}\n{common}")
        self.server = subprocess.Popen([str(self.venv / "bin/python"), str(self.venv / "bin/supervisord"), "-c", str(self.config)],
                                       env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while subprocess.run([*self.control, "pid"], env=self.env, capture_output=True).returncode != 0:
            if time.monotonic() >= end:
                raise Wrong("supervisord does not come up")
            time.sleep(0.05)
        time.sleep(1)

    def forget(self):
        # A stop of what is stopped fails, which is as good here.
        subprocess.run([*self.control, "stop", "s"], env=self.env, capture_output=True)

    def daemon(self):
        return self.server.pid

    def close(self):
        if self.server:
            self.server.terminate()
            self.server.wait(60)
            self.server = None
