"""A one-node Apache Kafka on this machine: for tests, and for users without Docker."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Self

from scanner.bus.broker.jars import jars
from scanner.bus.broker.tools import Announce, LocalBrokerError, java, silent

_HOST = "127.0.0.1"
# One small broker on a shared machine: the first compiler and the serial collector start it a second sooner.
_JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


class LocalBroker:
    """A broker that lives in a folder: started, stopped, killed, and started again with the same data and ports.

        with LocalBroker(folder) as broker:
            connect(broker.bootstrap)

    Any process may hold a LocalBroker over a folder in which another one started the broker.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        properties: Mapping[str, str] | None = None,
        announce: Announce = silent,
    ) -> None:
        """`port` 0 takes a free one; `properties` are added to the broker's own and win over them."""
        self.folder = folder
        self._announce = announce
        self._child: subprocess.Popen[bytes] | None = None
        if not self._config.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._config.write_text(_server_properties(folder, port or _free_port(), _free_port(), properties or {}))
        self.bootstrap = _listener(self._config.read_text())
        if port and not self.bootstrap.endswith(f":{port}"):
            raise LocalBrokerError(f"the broker in {folder} was made for {self.bootstrap}, not for port {port}")

    @property
    def running(self) -> bool:
        return self._pid() is not None

    @property
    def pid(self) -> int | None:
        """The broker's process, while it runs."""
        return self._pid()

    def start(self, timeout_s: float = 90) -> None:
        """Returns when the broker answers."""
        if self.running:
            return
        command = [java(self._announce), *_JVM, "-cp", f"{jars(self._announce)}/*"]
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(command)
        self._refuse_taken_port()
        with self._log.open("ab") as log:
            # Its own session: Ctrl-C in the terminal that started it is not meant for the broker.
            self._child = subprocess.Popen(
                [*command, "kafka.Kafka", str(self._config)], stdout=log, stderr=log, start_new_session=True
            )
        self._pid_file.write_text(str(self._child.pid))
        self._await_answer(timeout_s)

    def stop(self, timeout_s: float = 30) -> None:
        """Lets the broker finish its writes; kills it when it takes too long."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """As a machine that loses its power would, but for the page cache."""
        self._end(signal.SIGKILL, 10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _config(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _log(self) -> Path:
        return self.folder / "broker.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "broker.pid"

    def _format(self, command: list[str]) -> None:
        cluster = "s" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:21] + "A"  # 16 bytes, no leading dash
        tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)]
        done = subprocess.run(tool, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise LocalBrokerError(
                f"Apache Kafka could not format {self.folder}:\n{(done.stdout + done.stderr).strip()}"
            )

    def _refuse_taken_port(self) -> None:
        if _answers(self.bootstrap):
            raise LocalBrokerError(f"{self.bootstrap} is taken by another program: stop it, or choose another port")

    def _await_answer(self, timeout_s: float) -> None:
        # A KRaft broker opens its clients' port only when it has registered and may serve.
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if not self.running:
                raise LocalBrokerError(f"Apache Kafka ended while starting; see {self._log}:\n{self._tail()}")
            if _answers(self.bootstrap):
                return
            time.sleep(0.05)
        self.kill()
        raise LocalBrokerError(
            f"Apache Kafka did not answer within {timeout_s:.0f} s; {self._log} ends with:\n{self._tail()}"
        )

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if (pid := self._pid()) is None:
            return
        os.kill(pid, how)
        deadline = time.monotonic() + timeout_s
        while self._pid() is not None:
            if time.monotonic() > deadline:
                how, deadline = signal.SIGKILL, time.monotonic() + 10
                os.kill(pid, how)
            time.sleep(0.05)
        self._pid_file.unlink(missing_ok=True)

    def _pid(self) -> int | None:
        """Of the broker of this folder, whoever started it; None when it does not run."""
        if self._child is not None:
            if self._child.poll() is None:
                return self._child.pid
            self._child = None
        try:
            pid = int(self._pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        # The number may have gone to another program since.
        return pid if str(self._config) in _command_line(pid) else None

    def _tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def _server_properties(folder: Path, port: int, controller: int, extra: Mapping[str, str]) -> str:
    own = {
        "controller.quorum.voters": f"1@{_HOST}:{controller}",
        "listeners": f"CLIENT://{_HOST}:{port},CONTROLLER://{_HOST}:{controller}",
        "advertised.listeners": f"CLIENT://{_HOST}:{port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
    }
    template = files("scanner.bus.broker").joinpath("server.properties").read_text()
    return template + "\n" + "".join(f"{name}={value}\n" for name, value in (own | dict(extra)).items())


def _listener(config: str) -> str:
    """host:port that clients connect to."""
    line = next(line for line in config.splitlines() if line.startswith("advertised.listeners="))
    return line.partition("CLIENT://")[2]


def _command_line(pid: int) -> str:
    """Empty for a process that has ended."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False
