"""The pages' texts: one dictionary file a language, the same keys in each."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

LANGUAGES = {"en": "English", "zh": "中文"}


@cache
def dictionary(language: str) -> dict[str, str]:
    """Key to text."""
    path = resources.files("scanner.dashboard").joinpath("words", f"{language}.json")
    words: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return words


class Words:
    """Texts of one language; a text may have {holes}."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._words = dictionary(self.language)

    def __call__(self, key: str, **holes: object) -> str:
        return self._words[key].format(**holes) if holes else self._words[key]

    def below(self, prefix: str) -> dict[str, str]:
        """Every text whose key begins so, for the scripts."""
        return {key: text for key, text in self._words.items() if key.startswith(prefix)}


def language_of(cookie: str | None, accepted: str) -> str:
    """What was chosen, else the first of the browser's languages that we speak."""
    if cookie in LANGUAGES:
        return str(cookie)
    for wish in accepted.split(","):
        if (tongue := wish.strip()[:2].lower()) in LANGUAGES:
            return tongue
    return "en"
