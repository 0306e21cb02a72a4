"""The bus that live sources are ingested to, and hosts that HTTPS sources are pulled from.

Modules are loaded where they are used: what they load may warn, and warnings are errors until tests run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from certificates import Certificate
    from live_parts import MoodyBus
    from tls_site import Site


@pytest.fixture
def bus() -> MoodyBus:
    from live_parts import moody_bus

    return moody_bus()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `site` hands out."""
    from https_parts import fill

    folder = tmp_path_factory.mktemp("web")
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def truth() -> list[bytes]:
    """The pictures of what lies there."""
    from https_parts import VIDEO, pictures_of

    return pictures_of(VIDEO)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    from tls_site import certificate

    return certificate(tmp_path_factory.mktemp("papers"))


@pytest.fixture
def site(web: Path, papers: Certificate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    from tls_site import site_of

    monkeypatch.setenv("SSL_CERT_FILE", str(papers.authority))
    with site_of(web, papers) as site:
        yield site


@pytest.fixture
def stranger(tmp_path: Path, web: Path) -> Iterator[Site]:
    """A host that nobody here vouches for."""
    from tls_site import certificate, site_of

    with site_of(web, certificate(tmp_path / "stranger")) as site:
        yield site
