"""Texts, accounts, the throttle, vendored files: the small parts by themselves."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from pathlib import Path

import pytest
from desks import CHEAP

import scanner.dashboard
from scanner.core.errors import SettingsError
from scanner.core.review import Decision
from scanner.core.types import Label, Mode, Reason, Tier
from scanner.dashboard.accounts import Accounts, Role
from scanner.dashboard.streams import Attention
from scanner.dashboard.throttle import Throttle
from scanner.dashboard.tiles import spark_paths
from scanner.dashboard.words import LANGUAGES, dictionary, language_of

HOME = Path(scanner.dashboard.__file__).parent
SCRIPTS = "".join(path.read_text("utf-8") for path in HOME.glob("static/*.js"))
TEMPLATES = "".join(path.read_text("utf-8") for path in HOME.glob("templates/*.html"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_texts_with_the_same_holes(language) -> None:
    def holes(words):
        return {key: sorted(re.findall(r"\{(\w+)\}", text)) for key, text in words.items()}

    assert holes(dictionary(language)) == holes(dictionary("en"))
    assert all(text.strip() for text in dictionary(language).values())


@pytest.mark.parametrize(
    ("kind", "prefixes"),
    [
        (Label, ["label"]), (Reason, ["reason"]), (Mode, ["mode", "js.mode"]), (Tier, ["tier"]), (Role, ["role"]),
        (Decision, ["decision"]),
    ],
)  # fmt: skip
def test_every_value_has_a_word(kind, prefixes) -> None:
    assert {f"{prefix}.{value}" for prefix in prefixes for value in kind} <= dictionary("en").keys()


def test_every_state_has_a_word_and_an_icon() -> None:
    for attention in Attention:
        name = attention.name.lower()
        assert {f"attention.{name}", f"js.attention.{name}"} <= dictionary("en").keys()
        assert f'id="i-{name}"' in TEMPLATES
        assert f'"{name}"' in SCRIPTS


def test_every_text_that_is_asked_for_is_there_and_none_is_left_over() -> None:
    words = dictionary("en").keys()
    asked = set(re.findall(r'\bt\("([\w.]+)"', TEMPLATES.replace("'", '"')))
    asked |= {f"js.{key}" for key in re.findall(r'text\("([\w.]+)"', SCRIPTS)}
    stems = {stem for stem in asked if stem.endswith(".")}
    assert asked - stems <= words
    python = "".join(path.read_text("utf-8") for path in HOME.glob("*.py"))
    loose = {key for key in words - asked if not any(key.startswith(stem) for stem in stems)}
    assert {key for key in loose if f'"{key}"' not in python and not key.startswith("refused.")} == set()


def test_the_browsers_first_language_that_we_speak_is_taken() -> None:
    assert language_of(None, "fr,zh-TW;q=0.8,en;q=0.5") == "zh"
    assert language_of("en", "zh") == "en"
    assert language_of("xx", "") == "en"


def test_vendored_scripts_have_the_digests_beside_them() -> None:
    vendor = HOME / "static" / "vendor"
    promised = dict(
        re.findall(r"\| (\S+\.(?:js|css)) \|.*\| ([0-9a-f]{64}) \|", (vendor / "README.md").read_text("utf-8"))
    )
    files = [*vendor.glob("*.js"), *vendor.glob("*.css")]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == promised
    assert {path.name for path in vendor.glob("*.LICENSE")} == {"htmx.LICENSE", "uplot.LICENSE"}


def test_a_spark_is_a_line_a_judged_stretch() -> None:
    assert spark_paths("0z-z") == "M44 35h.01L45 0M47 0h.01"
    assert spark_paths("") == ""


def test_the_users_file_is_for_its_owner_alone_and_holds_no_password(tmp_path) -> None:
    path = tmp_path / "users.json"
    assert Accounts(path, CHEAP).add("ana", Role.ADMIN, "correct horse")
    assert not Accounts(path, CHEAP).add("ana", Role.VIEWER, "correct horse")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "correct horse" not in path.read_text("utf-8")
    assert "$argon2id$" in path.read_text("utf-8")


def test_accounts_check_and_follow_the_file(tmp_path) -> None:
    path = tmp_path / "users.json"
    accounts, other = Accounts(path, CHEAP), Accounts(path, CHEAP)
    accounts.add("ana", Role.REVIEWER, "correct horse")
    user = other.check("ana", "correct horse")
    assert user is not None
    assert user.role.may(Role.VIEWER)
    assert not user.role.may(Role.ADMIN)
    assert other.check("ana", "wrong horse") is None
    secret = accounts.secret
    accounts.remove("ana")
    assert other.check("ana", "correct horse") is None
    assert other.secret == secret, "other people's sessions go on"


@pytest.mark.parametrize(
    ("name", "password", "says"),
    [("a b", "long enough pw", "a b"), ("", "long enough pw", "name"), ("ana", "short", "5")],
)
def test_a_user_that_cannot_be_is_refused_and_says_why(tmp_path, name, password, says) -> None:
    with pytest.raises(SettingsError, match=says):
        Accounts(tmp_path / "users.json", CHEAP).add(name, Role.VIEWER, password)


@pytest.mark.parametrize(
    "text", ["", "{", json.dumps({"secret": "x"}), json.dumps({"secret": "x", "users": [{"name": 1}]})]
)
def test_a_users_file_that_is_none_is_named(tmp_path, text) -> None:
    path = tmp_path / "users.json"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=r"users\.json"):
        Accounts(path, CHEAP).users()


def test_the_throttle_opens_again_after_its_window() -> None:
    throttle = Throttle(2, 60)
    for at in (0, 10):
        assert throttle.wait_s("ana", at) == 0
        throttle.failed("ana", at)
    assert throttle.wait_s("ana", 20) == 40
    assert throttle.wait_s("bo", 20) == 0
    assert throttle.wait_s("ana", 60) == 0
    throttle.failed("ana", 60)
    assert throttle.wait_s("ana", 61) == 9
    throttle.forget("ana")
    assert throttle.wait_s("ana", 61) == 0
