"""Apache Kafka's jars: fetched from Maven Central once, kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from scanner.bus.broker.tools import Announce, LocalBrokerError, maven

_FETCH_S = 900


def kafka_version() -> str:
    """The version named in pom.xml."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", _pom())
    assert found, "pom.xml names no kafka.version"  # noqa: S101 – our own file
    return found.group(1)


def cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "scanner", "kafka", kafka_version())


def jars(announce: Announce) -> Path:
    """The folder of jars, fetched when it is not there yet."""
    target = cache() / "jars"
    with _alone(target.parent):
        if not target.is_dir():
            announce(f"fetching Apache Kafka {kafka_version()} from Maven Central (45 MB, once)")
            _fetch(target, announce)
    return target


def _fetch(target: Path, announce: Announce) -> None:
    # A folder that is there is complete: it gets its name only after Maven has succeeded.
    unfinished = target.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    pom = target.with_name("pom.xml")
    pom.write_text(_pom())
    _run_maven(["-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}"], announce)
    unfinished.rename(target)


def _run_maven(arguments: list[str], announce: Announce) -> None:
    command = [maven(announce), "-q", "-B", "-C", *arguments]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise LocalBrokerError(f"Maven did not end within {_FETCH_S} s: {' '.join(command)}") from error
    except subprocess.CalledProcessError as error:
        said = (error.stdout + error.stderr).strip()[-2000:]
        raise LocalBrokerError(f"Maven could not fetch Apache Kafka; is the network there?\n{said}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that start at once fetch once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pom() -> str:
    return files("scanner.bus.broker").joinpath("pom.xml").read_text()
