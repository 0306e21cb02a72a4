"""The wall in a terminal."""

from __future__ import annotations

from desks import suspicious
from rich.console import Console
from said import alert, verdict

from scanner.cli.top import Top


def shown(desk, height: int = 24) -> list[str]:
    console = Console(width=140, height=height, record=True, color_system=None)
    console.print(Top(desk.site.feed, 1), height=height)
    return console.export_text().splitlines()


def test_streams_that_need_attention_stand_first_with_their_scores(desk) -> None:
    desk.say(verdict("calm"), verdict("odd", 0, 0.7), verdict("odd", 1, None), suspicious("bad"), verdict("al"))
    desk.publish(alert(stream_id="al").record)
    head, _, *rows = shown(desk)
    assert "4 streams" in head
    assert "3 to review" in head
    assert [row.split()[-1] for row in rows if row.strip()] == ["al", "bad", "odd", "calm"]
    assert "▲ alert" in rows[0]
    assert "▆·" in rows[2]
    assert "0.8 s" in rows[3]


def test_what_does_not_fit_is_counted_and_hostile_names_stay_text(desk) -> None:
    desk.say(*(verdict(f"s{number}") for number in range(30)), suspicious("[red]\x1b[2J"))
    lines = shown(desk, height=16)
    assert "21 not shown" in lines[0]
    assert "[red]\\u{1b}[2J" in lines[2]
    assert "\x1b" not in "".join(lines)
