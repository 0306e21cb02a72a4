"""Java and Maven: found, or installed where this user may, or asked for in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from scanner.core.errors import ScannerError

Announce = Callable[[str], None]

JAVA_AT_LEAST = 17  # Apache Kafka 4 brokers are compiled for it
_INSTALL_S = 900


class LocalBrokerError(ScannerError):
    """A broker of our own cannot be had or started on this machine."""


def silent(_: str) -> None:
    """Announces nothing."""


def java(announce: Announce) -> str:
    """Path of a Java that runs the broker."""
    if found := _find_java():
        return found
    _apt_install(["default-jre-headless"], f"Java {JAVA_AT_LEAST} or newer", announce)
    if found := _find_java():
        return found
    raise LocalBrokerError(
        f"the system's default Java is older than {JAVA_AT_LEAST}: install a newer one and point JAVA_HOME to it"
    )


def maven(announce: Announce) -> str:
    """Path of `mvn`."""
    if not shutil.which("mvn"):
        _apt_install(["maven"], "Maven (once, to fetch Apache Kafka)", announce)
    return shutil.which("mvn") or "mvn"


def _find_java() -> str | None:
    return next((path for path in _candidates() if _java_version(path) >= JAVA_AT_LEAST), None)


def _candidates() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home, "bin", "java"))
    if on_path := shutil.which("java"):
        yield on_path
    yield from sorted(map(str, Path("/usr/lib/jvm").glob("*/bin/java")))


def _java_version(path: str) -> int:
    """Major version, 0 when it does not run."""
    try:
        said = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    numbers = re.search(r'version "(\d+)', said)
    return int(numbers.group(1)) if numbers else 0


def _apt_install(packages: list[str], what: str, announce: Announce) -> None:
    if not shutil.which("apt-get"):
        raise LocalBrokerError(f"{what} is needed: install it with this system's package manager, then try again")
    if os.geteuid() != 0:
        raise LocalBrokerError(f"{what} is needed: run `sudo apt-get install {' '.join(packages)}`, then try again")
    announce(f"installing {' '.join(packages)} with apt-get")
    _apt_get("update")
    _apt_get("install", "-y", "--no-install-recommends", *packages)


def _apt_get(*arguments: str) -> None:
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "-q", *arguments]
    try:
        subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=_INSTALL_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise LocalBrokerError(f"`{' '.join(command)}` did not end within {_INSTALL_S} s") from error
    except subprocess.CalledProcessError as error:
        raise LocalBrokerError(f"`{' '.join(command)}` failed:\n{error.stderr.strip()[-2000:]}") from error
