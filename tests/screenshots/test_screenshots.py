"""The pictures in docs/screenshots are those of the pages that exist, and small."""

from tests.screenshots.__main__ import FOLDER
from tests.screenshots.browsing import pages_of_app, picture_names

MAX_BYTES = 3_000_000


def test_every_page_is_in_the_pictures_and_no_other() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == picture_names()
    assert {"overview", "audit"} <= {page.name for page in pages_of_app()}


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MAX_BYTES
