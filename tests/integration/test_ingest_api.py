"""Sources added and removed over HTTP while others go on."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from live_parts import (
    MoodyBus,
    assert_no_number_twice,
    encoder,
    free_port,
    ingesting,
    on_topic,
    wait_until,
)
from prometheus_client import CollectorRegistry

from scanner.core.errors import SettingsError
from scanner.ingest import source_of
from scanner.ingest.api import Api
from scanner.testing import draw_video

TOKEN = "correct horse battery staple"


class Caller:
    """Somebody with a token."""

    def __init__(self, address: str, token: str = TOKEN) -> None:
        self._place = address.removeprefix("http://")
        self._headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        connection = HTTPConnection(self._place, timeout=10)
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        connection.request(method, path, text, self._headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        return answer.status, told


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(draw_video(frames=50, rate=25, gop=25))
    return clip


@pytest.fixture
def caller(bus: MoodyBus, tmp_path: Path) -> Iterator[Caller]:
    with ingesting(bus, tmp_path / "spool") as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        yield Caller(api.address)


def test_sources_come_and_go_and_disturb_no_other(bus: MoodyBus, caller: Caller, clip: Path) -> None:
    port = free_port()
    with encoder("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"):
        assert caller("PUT", "/sources/cam", {"url": f"udp://127.0.0.1:{port}"}) == (201, {"name": "cam"})
        wait_until(lambda: len(on_topic(bus)) >= 1)
        assert caller("PUT", "/sources/lobby%2Fdoor", {"url": str(clip)})[0] == 201
        assert caller("PUT", "/sources/dead", {"url": "rtmp://127.0.0.1:1/live/key"})[0] == 201
        wait_until(lambda: bool(on_topic(bus, "lobby/door")) and on_topic(bus, "lobby/door")[-1].end_of_stream)
        wait_until(lambda: caller("GET", "/sources/dead")[1]["reconnects"] >= 1)
        assert caller("DELETE", "/sources/dead") == (200, {"name": "dead"})
        assert caller("DELETE", "/sources/dead")[0] == 404
        seen = len(on_topic(bus))
        wait_until(lambda: len(on_topic(bus)) > seen)
        told = {source["name"]: source for source in caller("GET", "/sources")[1]["sources"]}
        assert {name: source["state"] for name, source in told.items()} == {"cam": "live", "lobby/door": "ended"}
        assert caller("DELETE", "/sources/cam")[0] == 200
        wait_until(lambda: on_topic(bus)[-1].end_of_stream)
    assert_no_number_twice(on_topic(bus))
    assert told["cam"]["lost"] == 0


def test_only_a_source_that_is_wanted_can_be_down(bus: MoodyBus, tmp_path: Path, clip: Path) -> None:
    registry, file = CollectorRegistry(), tmp_path / "sources.toml"
    dead = "rtmp://127.0.0.1:1/live/key"
    file.write_text(f'[listed]\nurl = "{dead}"\n[kept]\nurl = "{dead}"\n')

    def live() -> dict[str, float]:
        (family,) = (family for family in registry.collect() if family.name == "scanner_ingest_live")
        return {sample.labels["source"]: sample.value for sample in family.samples}

    running = ingesting(bus, tmp_path / "spool", file=file, registry=registry)
    with running as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        caller = Caller(api.address)
        assert caller("PUT", "/sources/added", {"url": dead})[0] == 201
        assert caller("PUT", "/sources/clip", {"url": str(clip)})[0] == 201
        wait_until(lambda: all(caller("GET", f"/sources/{name}")[1]["reconnects"] for name in ("added", "listed")))
        wait_until(lambda: caller("GET", "/sources/clip")[1]["state"] == "ended")
        assert live() == {"added": 0, "listed": 0, "kept": 0}
        assert caller("DELETE", "/sources/added")[0] == 200
        assert live() == {"listed": 0, "kept": 0}
        file.write_text(f'[kept]\nurl = "{dead}"\n')
        wait_until(lambda: live() == {"kept": 0})
        assert caller("PUT", "/sources/added", {"url": dead})[0] == 201
        wait_until(lambda: live() == {"added": 0, "kept": 0})


def test_a_source_that_is_put_again_is_changed_and_its_numbers_go_on(bus: MoodyBus, caller: Caller, clip: Path) -> None:
    assert caller("PUT", "/sources/cam", {"url": str(clip)})[0] == 201
    wait_until(lambda: bool(on_topic(bus)) and on_topic(bus)[-1].end_of_stream)
    assert caller("PUT", "/sources/cam", {"url": str(clip), "segment_s": 2})[0] == 200
    wait_until(lambda: len(on_topic(bus)) >= 5 and on_topic(bus)[-1].end_of_stream)
    assert [segment.sequence for segment in on_topic(bus)] == [0, 1, 2, 3, 4]  # two of a second and an end, one of two


def test_what_was_added_is_there_after_a_restart_and_what_was_removed_is_not(
    bus: MoodyBus, tmp_path: Path, clip: Path
) -> None:
    spool = tmp_path / "spool"
    with ingesting(bus, spool) as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        for name in ("kept", "gone"):
            Caller(api.address)("PUT", f"/sources/{name}", {"url": str(clip)})
        Caller(api.address)("DELETE", "/sources/gone")
    assert (spool / "sources.json").stat().st_mode & 0o777 == 0o600
    with ingesting(bus, spool) as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        wait_until(lambda: [source["name"] for source in ingest.sources()] == ["kept"])
        assert Caller(api.address)("GET", "/sources/kept")[1]["origin"] == "api"


def test_nobody_is_told_or_changes_anything_without_the_token(bus: MoodyBus, tmp_path: Path, clip: Path) -> None:
    with ingesting(bus, tmp_path / "spool") as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        for stranger in (Caller(api.address, "wrong"), Caller(api.address, ""), Caller(api.address, TOKEN + "x")):
            assert stranger("GET", "/sources")[0] == 401
            assert stranger("PUT", "/sources/cam", {"url": str(clip)})[0] == 401
            assert stranger("DELETE", "/sources/cam")[0] == 401
        assert ingest.sources() == []


def test_the_secrets_of_an_address_are_never_shown(
    caller: Caller, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, url in {
        "rtsp": "rtsp://user:secret@127.0.0.1:1/s?key=secret",
        "http": "http://user:secret@127.0.0.1:1/a.m3u8?key=secret",
        "dash": "http://user:secret@127.0.0.1:1/a.mpd?key=secret",
        "srt": "srt://127.0.0.1:1?passphrase=secretsecret",
        "wrong": "gopher://user:secret@127.0.0.1/",
    }.items():
        status, told = caller("PUT", f"/sources/{name}", {"url": url})
        assert status == (400 if name == "wrong" else 201)
        assert "secret" not in str(told)
    wait_until(lambda: all(source["last_error"] for source in caller("GET", "/sources")[1]["sources"]), 40)
    told = caller("GET", "/sources")[1]
    assert len(told["sources"]) == 4
    said = capfd.readouterr()
    assert "secret" not in f"{told} {said.out} {said.err} {caplog.text}"


def test_sources_of_the_file_are_changed_in_the_file(bus: MoodyBus, tmp_path: Path, clip: Path) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(f'[filed]\nurl = "{clip}"\n')
    fixed = source_of(f"fixed={clip}")
    with ingesting(bus, tmp_path / "spool", fixed, file=file) as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        caller = Caller(api.address)
        wait_until(lambda: len(ingest.sources()) == 2)
        for name, origin in {"filed": "file", "fixed": "command line"}.items():
            assert caller("GET", f"/sources/{name}")[1]["origin"] == origin
            for method, body in (("PUT", {"url": str(clip)}), ("DELETE", None)):
                status, told = caller(method, f"/sources/{name}", body)
                assert (status, told["error"]) == (409, f"source {name} comes from the {origin}: change it there")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("PUT", "/sources/cam", {"url": "gopher://host/x"}, 400, "gopher:// is not one of rtmp"),
        ("PUT", "/sources/cam", {"url": "rtsp://h/s", "transport": "pigeon"}, 400, "transport: Input should be 'tcp'"),
        ("PUT", "/sources/cam", {"url": "/nowhere.mp4"}, 400, "No such file"),
        ("PUT", "/sources/cam", {"name": "x", "url": "rtsp://h/s"}, 400, "the body is an object"),
        ("PUT", "/sources/cam", "{", 400, "no JSON"),
        ("PUT", "/sources/cam", "[" * 10_000, 400, "no JSON"),
        ("PUT", "/sources/cam", "x" * 20_000, 413, "more than 16384 bytes"),
        ("PUT", "/sources/cam", None, 400, "no JSON"),
        ("PUT", "/sources", {"url": "rtsp://h/s"}, 405, "name the source"),
        ("GET", "/sources/cam", None, 404, "no source cam"),
        ("GET", "/", None, 404, "only /sources"),
        ("DELETE", "/sources/cam", None, 404, "no source cam"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    caller: Caller, method: str, path: str, body: object, status: int, said: str
) -> None:
    answer = caller(method, path, body)
    assert (answer[0], said in answer[1]["error"]) == (status, True), answer
    assert caller("GET", "/sources")[1] == {"sources": []}


def test_a_taken_port_is_said(bus: MoodyBus, tmp_path: Path) -> None:
    with ingesting(bus, tmp_path / "spool") as ingest, Api(ingest, "127.0.0.1", 0, TOKEN) as api:
        port = int(api.address.rpartition(":")[2])
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}: Address already in use"):
            Api(ingest, "127.0.0.1", port, TOKEN)


def test_the_command_serves_it_and_leaves_at_once_though_the_broker_is_away(tmp_path: Path, clip: Path) -> None:
    program = [str(Path(sys.executable).with_name("scanner")), "ingest", "--bootstrap", "127.0.0.1:1"]
    told = [*program, "--spool", str(tmp_path / "spool"), "--api-port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCANNER_")}
    refused = subprocess.run(told, env=environment, capture_output=True, text=True, check=False)
    assert (refused.returncode, "ingest.api_token (SCANNER_INGEST__API_TOKEN)" in refused.stderr) == (2, True)
    environment |= {"SCANNER_INGEST__API_TOKEN": TOKEN}
    with subprocess.Popen(told, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stdout
        address = next(line for line in process.stderr if "/sources" in line).split()[-1].removesuffix("/sources")
        assert Caller(address)("PUT", "/sources/cam", {"url": str(clip)})[0] == 201
        wait_until(lambda: Caller(address)("GET", "/sources/cam")[1]["state"] == "ended")
        process.terminate()
        began_s = time.monotonic()
        out, err = process.communicate(timeout=120)
    assert time.monotonic() - began_s < 10, "nobody waits for a broker that is away"
    assert process.returncode == 0
    assert json.loads(out)["name"] == "cam"
    assert "2 segments wait in" in err  # one of two seconds, and the end
