"""The command line as people and scripts meet it: shapes, exit codes, one clear line for what cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scanner.sample import draw_sample

VERDICT_KEYS = [
    "verdict_id", "stream_id", "sequence", "start_ms", "end_ms", "label", "score", "reasons", "tracks", "provenance",
    "coverage", "model", "policy_sha256", "sandbox", "source", "timing_ms", "payload_sha256", "version",
]  # fmt: skip
TRACK_KEYS = ["track_id", "label", "score", "evidence", "frames_scored", "spans", "box", "quality", "reasons"]


def scanner(*arguments, stdin=None, code=0):
    command = [sys.executable, "-m", "scanner", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, stdin=stdin, timeout=120, check=False)
    assert done.returncode == code, done.stderr.decode()
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_sample(path, forged=False, seconds=4)
    return path


@pytest.fixture(scope="module")
def scanned(clip):
    return scanner("scan", clip)


def test_verdicts_and_the_summary_have_the_promised_shape(clip, scanned) -> None:
    *verdicts, summary = lines(scanned)
    assert [v["sequence"] for v in verdicts] == [0, 1]
    for verdict in verdicts:
        assert list(verdict) == VERDICT_KEYS
        assert list(verdict["tracks"][0]) == TRACK_KEYS
        assert verdict["coverage"]["mode"] == "full"
        assert verdict["coverage"]["frames_total"] == verdict["coverage"]["frames_decoded"] == 50
        assert verdict["coverage"]["frames_scored"] == 50  # six clips of eight, and one that ends at the last frame
    assert summary["type"] == "summary"
    assert summary["uri"] == str(clip)
    assert summary["duration_ms"] == 4000
    assert summary["faces"] == 1


def test_patrol_decodes_a_fraction_and_says_so(clip) -> None:
    verdict = lines(scanner("scan", "--coverage", "patrol", clip))[0]
    tally = verdict["coverage"]
    assert (tally["frames_total"], tally["frames_decoded"], tally["frames_scored"]) == (50, 8, 8)
    assert tally["mode"] == "patrol"
    assert verdict["end_ms"] - verdict["start_ms"] == 2000


def test_standard_input_is_scanned(clip) -> None:
    with clip.open("rb") as stdin:
        *verdicts, summary = lines(scanner("scan", "-", stdin=stdin))
    assert len(verdicts) == 2
    assert summary["uri"] == "-"


def test_what_cannot_be_read_gets_one_line_and_the_next_file_is_scanned(clip, tmp_path) -> None:
    empty, text, playlist = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "list.mp4"
    empty.touch()
    text.write_text("hello" * 1000)
    playlist.write_text("#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    done = scanner("scan", empty, text, playlist, "missing.mp4", clip, code=3)
    told = lines(done)
    assert [line["type"] for line in told if "type" in line] == ["error"] * 4 + ["summary"]
    complaints = [line for line in done.stderr.decode().splitlines() if line.startswith("scanner:")]
    assert len(complaints) == 4
    for name, complaint in zip(("empty.mp4", "text.mp4", "list.mp4", "missing.mp4"), complaints, strict=True):
        assert complaint.count(name) == 1
    assert "Traceback" not in done.stderr.decode()


def test_fail_on_sets_the_exit_code(clip, tmp_path) -> None:
    policy = tmp_path / "strict.toml"
    policy.write_text("[policy]\nsuspected_from = 0.0\nmanipulated_from = 1.0\n")
    scanner("scan", "--settings", policy, "--fail-on", "suspected", clip, code=1)
    scanner("scan", "--settings", policy, "--fail-on", "manipulated", clip, code=0)


def test_a_gpu_that_was_asked_for_and_is_not_there_is_an_error(clip) -> None:
    done = scanner("scan", "--device", "cuda:7", clip, code=3)
    assert "cuda:7 was asked for and is not there" in done.stderr.decode()
    assert done.stdout == b""


def test_without_a_wish_the_run_says_which_device_it_took(scanned) -> None:
    told = scanned.stderr.decode()
    assert " on cpu (" in told or " on cuda:0 (" in told


def test_a_wrong_setting_is_usage(tmp_path, clip) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[scan]\ncels = 1\n")
    assert "scan.cels" in scanner("scan", "--settings", wrong, clip, code=2).stderr.decode()


def test_the_report_is_one_page_without_addresses(clip, tmp_path) -> None:
    page, empty = tmp_path / "report.html", tmp_path / "empty.mp4"
    empty.touch()
    scanner("scan", "--report", page, clip, empty, code=3)
    text = page.read_text("utf-8")
    assert "clip.mp4" in text
    assert "empty.mp4" in text.partition("not scanned")[2]
    assert "data:image/jpeg;base64," in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text


def test_a_report_that_cannot_be_written_is_told_before_the_scan(clip, tmp_path) -> None:
    done = scanner("scan", "--report", tmp_path / "nowhere" / "x.html", clip, code=2)
    assert "no folder" in done.stderr.decode()
    assert done.stdout == b""


def test_a_reader_that_leaves_is_no_failure(clip) -> None:
    command = f"{sys.executable} -m scanner scan --json {clip} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.splitlines()) == 1


def test_the_library_may_be_left_half_way(clip) -> None:
    code = f"from scanner import scan\nverdicts = scan({str(clip)!r})\nprint(next(verdicts).sequence)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.stdout == b"0\n", done.stderr.decode()


def test_doctor_finds_the_model_and_a_cell() -> None:
    findings = {finding["part"]: finding for finding in lines(scanner("doctor", "--json"))}
    assert findings["model"]["works"]
    assert findings["cells"]["works"]
    assert "rlimit" in findings["cells"]["says"]


def test_the_shipped_models_keep_their_promise() -> None:
    names = [card["name"] for card in lines(scanner("models", "list", "--json"))]
    assert names
    for name in names:
        assert "keeps its card's promise" in scanner("models", "verify", name).stdout.decode()


def test_config_show_tells_origins() -> None:
    told = {line["setting"]: line["origin"] for line in lines(scanner("config", "show", "--json"))}
    assert told["scan.model"] == "default"


def test_the_demo_needs_nothing(tmp_path) -> None:
    done = scanner("demo", "--json", "--keep", tmp_path)
    summaries = {line["uri"]: line for line in lines(done) if line.get("type") == "summary"}
    assert set(summaries) == {"portrait.mp4", "portrait-forged.mp4"}
    assert summaries["portrait-forged.mp4"]["score"] > summaries["portrait.mp4"]["score"]
