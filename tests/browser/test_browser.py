"""The dashboard as people meet it: Chromium, a live bus, a real segment to play."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from desks import suspicious
from runs import replayed
from said import TOPICS, alert, dead, verdict

from scanner import letters, wire
from scanner.core.errors import MediaError
from scanner.jpeg import jpeg
from scanner.testing import draw_video

pytestmark = pytest.mark.browser
WIDE = """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .map((each) => each.tagName + "." + each.className)"""
PLAYS = """() => new Promise((done) => {
  const video = document.querySelector("video");
  const end = setTimeout(() => done(video.error ? video.error.message : "stands still"), 30000);
  const look = () => { if (video.currentTime > 0.1) { clearTimeout(end); done(""); } else setTimeout(look, 50); };
  look();
})"""


PATHS = [
    "/", "/?by=group", "/stream?id=odd", "/reviews", "/health", "/people",
    "/runs", "/runs/run?name=one", "/runs/file?name=one&stream=b/moved.mp4", "/runs/diff?before=one&after=two",
]  # fmt: skip


def segment(desk, stream_id: str = "live/forged", sequence: int = 0, container: str = "mp4"):
    video = draw_video(
        size=(320, 240), frames=50, options={"preset": "ultrafast", "tune": "zerolatency"}, container=container
    )
    return desk.segment(video, stream_id, sequence)


def tiles(page) -> list[str]:
    return page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.dataset.id + ' ' + tile.className)")


def test_a_live_forged_stream_is_seen_played_reviewed_and_done(served, enter) -> None:
    source = segment(served)
    served.say(verdict("calm"), verdict("live/forged", 0))
    page = enter()
    page.wait_for_selector(".pulse.live")
    assert [line.split()[0] for line in tiles(page)] == ["calm", "live/forged"]

    # Its score rises and an alert is raised: the tile says so by itself and comes first.
    served.say(suspicious("live/forged", 1, 0.9, source))
    served.publish(alert(stream_id="live/forged", sequence=1).record)
    page.wait_for_selector(".tile.is-alert", timeout=3000)
    page.wait_for_function("() => document.querySelector('.tile').dataset.id === 'live/forged'", timeout=5000)
    assert page.inner_text("#waiting") == "1"

    # Its page plays the span.
    page.click(".tile.is-alert a")
    page.wait_for_selector("#detail video")
    assert page.evaluate(PLAYS) == ""
    assert "scanner.segments/" in page.inner_text("#detail")
    page.wait_for_selector(".chart canvas")
    page.focus("#chart")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('#detail .now b').innerText === '0.10'")

    # It is answered from the keyboard, and gone.
    page.goto(served.address + "/reviews")
    assert page.evaluate(PLAYS) == ""
    page.keyboard.press("n")
    page.keyboard.type("the mouth lags")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.wait_for_selector(".done")
    assert page.is_hidden("#waiting")
    assert "ana" in page.inner_text(".past")

    # Undone, it is asked again; rejected, it stays away after a reload.
    page.keyboard.press("z")
    page.wait_for_selector(".case video")
    page.keyboard.press("r")
    page.wait_for_selector(".done")
    page.reload()
    assert page.is_visible(".done")
    said = served.bus.reader([TOPICS.reviews], from_beginning=True).poll(1, 100)
    assert [wire.review_of(delivery.record).decision for delivery in said] == ["confirm", "unsure", "reject"]
    assert wire.review_of(said[0].record).note == "the mouth lags"


def test_an_mpeg_ts_segment_plays_too(served, enter) -> None:
    source = segment(served, container="mpegts")
    served.say(suspicious("live/forged", 0, 0.9, source))
    page = enter()
    page.goto(served.address + "/stream?id=live/forged")
    assert page.evaluate(PLAYS) == ""


def test_a_segment_that_is_gone_says_so_instead_of_playing(served, enter) -> None:
    served.say(suspicious("cam"))
    page = enter()
    with page.expect_response(lambda answer: "/clip" in answer.url and answer.status == 410):
        page.goto(served.address + "/stream?id=cam")
    page.wait_for_selector(".player .lost", state="visible")


def test_a_player_that_has_not_begun_to_load_is_not_called_broken(served, enter) -> None:
    served.say(suspicious("cam", 0, 0.9, segment(served)))
    page = enter()
    page.goto(served.address + "/stream?id=cam")
    page.wait_for_selector("#detail video")
    hidden = page.evaluate("""() => {
      const video = document.querySelector("#detail video");
      video.src = video.src;
      document.dispatchEvent(new Event("htmx:after:swap"));
      return video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE && video.hidden;
    }""")
    assert hidden is False
    assert page.evaluate(PLAYS) == ""


def test_an_admin_tries_a_dead_letter_again_by_keyboard_and_sees_what_became_of_it(served, enter) -> None:
    original = served.bus.fetch(served.segment(b"not a video", "broken"))
    letter = letters.DeadLetter(MediaError("not a video"), 1)
    served.publish(letters.deadletter_record(original, letter, TOPICS.deadletters, at_ms=1))
    page = enter(name="root")
    page.goto(served.address + "/health")
    page.focus(".letters button")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.letters').innerText.includes('is being tried again')")
    assert page.locator(".letters button").count() == 0
    assert page.url == served.address + "/health"


def test_search_and_filters_leave_what_was_asked_for(served, enter) -> None:
    served.say(verdict("gate/a"), verdict("gate/b"), suspicious("hall/a"))
    page = enter()
    page.wait_for_selector(".pulse.live")
    page.keyboard.press("/")
    page.keyboard.type("gate")
    assert page.locator(".tile:visible").count() == 2
    page.keyboard.press("Escape")
    page.check("input[value=manipulated]", force=True)
    assert page.locator(".tile:visible").count() == 1
    page.check("input[value=ended]", force=True)
    page.wait_for_selector("#nothing", state="visible")


def test_groups_gather_streams_under_their_names_and_the_address_remembers(served, enter) -> None:
    served.say(verdict("gate/a"), verdict("gate/b"), suspicious("hall/a"), verdict("lone"))
    page = enter()
    page.wait_for_selector(".pulse.live")
    page.click("#by")
    page.wait_for_selector(".groupline")
    page.reload()
    page.wait_for_selector(".groupline")
    assert page.eval_on_selector_all(".groupline bdi", "lines => lines.map(line => line.innerText)")[0] == "hall"
    page.select_option("#group", "gate")
    assert page.locator(".tile:visible").count() == 2
    page.reload()
    page.wait_for_selector(".pulse.live")
    assert page.locator(".tile:visible").count() == 2
    assert page.inner_text("[data-count='']") == "2"


def test_faces_appear_on_tiles_while_somebody_watches_and_leave_when_they_expire(served, enter) -> None:
    served.say(verdict("cam"))
    page = enter()
    page.wait_for_selector(".pulse.live")
    face = wire.Face(verdict("cam"), "t1", jpeg(np.full((88, 88, 3), 120, np.uint8)))
    served.publish(wire.face_record(face, TOPICS.faces, at_ms=0))
    page.wait_for_function("() => document.querySelector('.tile .people img')?.naturalWidth === 88", timeout=5000)
    with served.site.feed.looking() as view:
        view._limits = replace(view._limits, pictures_ms=1)
    page.wait_for_selector(".tile .people img", state="detached", timeout=5000)
    page.wait_for_selector(".tile .where", state="visible")


def test_a_stream_that_starts_while_somebody_watches_gets_a_tile(served, enter) -> None:
    page = enter()
    page.wait_for_selector("#empty")
    served.say(verdict("new/one"))
    page.wait_for_selector(".tile[data-id='new/one']", timeout=3000)
    page.wait_for_selector("#empty", state="hidden")


MOVING = """() => document.getAnimations().map(({ effect }) => [
  effect.target.closest(".tile").dataset.id, effect.pseudoElement, effect.getTiming().iterations,
  Object.keys(effect.getKeyframes()[0])
    .filter((name) => !["offset", "computedOffset", "easing", "composite"].includes(name)).join()])"""
SLOWLY = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(".tile.fresh a::after { animation-duration: 60s !important }");
  document.adoptedStyleSheets = [sheet];
}"""


def test_a_stream_that_turns_bad_lights_up_once_and_nothing_is_painted_for_it(served, enter) -> None:
    served.say(verdict("calm"), verdict("bad"))
    page = enter()
    page.wait_for_selector(".pulse.live")
    page.evaluate(SLOWLY)  # so that it is seen on a loaded machine, too
    assert page.evaluate(MOVING) == []
    served.say(suspicious("bad", 1, 0.9))
    page.wait_for_selector(".tile.fresh[data-id='bad']", timeout=3000)
    # Opacity is the compositor's business; anything else that moves would have the page painted anew for each frame.
    assert page.evaluate(MOVING) == [["bad", "::after", 1, "opacity"]]


def test_somebody_who_is_shown_the_door_is_out_while_they_watch(served, enter) -> None:
    served.say(verdict("cam"))
    page = enter()
    page.wait_for_selector(".pulse.live")
    served.site.accounts.remove("ana")
    page.wait_for_url(lambda address: "/sign-in" in address, timeout=20000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", [*PATHS, "/sign-in"])
def test_axe_finds_nothing_serious(served, enter, scheme, path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    _everything(served)
    page = enter(scheme=scheme, name="root")
    if path == "/sign-in":
        page.context.clear_cookies()
    page.goto(served.address + path)
    page.wait_for_timeout(1500)
    found = Axe().run(page).response["violations"]
    serious = [
        (rule["id"], [node["html"][:120] + " " + node["failureSummary"][:300] for node in rule["nodes"]])
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]
    assert serious == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("size", ["phone", "desk", "wide"])
def test_nothing_is_wider_than_the_window(served, enter, size, locale) -> None:
    _everything(served)
    page = enter(size, locale=locale, name="root")
    for path in PATHS:
        page.goto(served.address + path)
        page.wait_for_timeout(300)
        wide = page.evaluate(WIDE)
        assert wide == [], path


def _everything(served) -> None:
    source = segment(served)
    served.say(
        *(verdict(f"site-{number}/camera-with-a-long-name-{number}") for number in range(20)),
        verdict("calm"),
        verdict("dark", score=None),
        suspicious("odd", 0, 0.7, source),
        suspicious("odd", 1, 0.9, source),
        verdict("odd", 2),
        suspicious("al", 0, 0.9, source),
    )
    served.publish(alert(stream_id="al").record)
    served.publish(dead("broken").record)
    face = wire.Face(verdict("odd"), "t1", jpeg(np.full((88, 88, 3), 120, np.uint8)))
    served.publish(wire.face_record(face, TOPICS.faces, at_ms=0))
    replayed(served.runs / "one", 0.1)
    replayed(served.runs / "two", 0.9)
