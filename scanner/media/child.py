"""Starting, hearing out and ending one confined Python process. Nothing of it outlives `close`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from scanner import memory
from scanner.media.protocol import Channel, ClosedError, OverdueError, ProtocolError

KEPT_STDERR_BYTES = 4096
_LISTENER_S = 2.0  # stderr ends with the process; only a descendant that left the group could hold it open
_PASSED_ON = (
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "SSL_CERT_FILE",
)  # fmt: skip
_SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MB of the address space
    **memory.ENVIRONMENT,
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class Child:
    """A process that runs `module` with the numbers of its socket, its lifeline and what it was handed.

    Its own session keeps Ctrl-C away from it, its stderr is kept here and shown to nobody, and it sees nothing of
    the environment that could hold a secret.
    """

    def __init__(self, module: str, handed: Sequence[int] = ()) -> None:
        """Descriptors in `handed` are inherited under the same numbers; they stay the caller's to close."""
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        numbers = [theirs.fileno(), lifeline, *handed]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=numbers,
                start_new_session=True,
                env=_environment(),
                bufsize=0,
            )
        except BaseException:
            ours.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self.channel = Channel(ours)
        self._last_words = bytearray()
        self._listener = threading.Thread(target=self._listen, name=f"stderr of {module}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends the process at once; whoever waits for its answer is told that it is gone."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # whatever it may have started goes with it

    def close(self) -> None:
        """Kills, reaps, and gives everything back. May be called twice."""
        self.kill()
        self._process.wait()
        self._listener.join(_LISTENER_S)
        self.channel.close()
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)

    def obituary(self, cause: ProtocolError) -> str:
        """Ends the process and says why it had to end, with the last thing it wrote."""
        ended_itself = isinstance(cause, ClosedError) and _within(self._process, 1.0)
        self.close()
        if isinstance(cause, OverdueError):
            return "was stopped"
        code = self._process.returncode
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"
        words = self._last_words.decode(errors="replace").strip().splitlines()
        said = f"; its last words: {words[-1][:300]}" if words else ""
        return f"{how if ended_itself else f'broke the protocol ({cause})'}{said}"

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it was asked for as a pipe
        with self._process.stderr as stderr:
            while heard := stderr.read(KEPT_STDERR_BYTES):
                self._last_words += heard
                del self._last_words[:-KEPT_STDERR_BYTES]


def _within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
        return True
    return False


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment() -> dict[str, str]:
    """What a confined process sees: where our packages lie, and no secret that the parent's may hold."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, **_SET, "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)}
