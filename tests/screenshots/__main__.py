"""Writes the pictures of all pages to docs/screenshots, and removes those of pages that are gone.

python -m tests.screenshots            all pictures; takes a minute
"""

import tempfile
from pathlib import Path

from tests.clients.browser import chromium
from tests.screenshots.browsing import MAX_HEIGHT, picture_names, visit_pages
from tests.screenshots.gateway import serving_invented_data
from tests.screenshots.pictures import small_png
from tidegate.sqlite.folder import DataFolder

MEMORY = Path("/dev/shm")
"""A folder in memory, if there is one: the data are written in thousands of transactions."""

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
        serving_invented_data(DataFolder(Path(folder))) as (root, call_id),
        chromium() as browser,
    ):
        canvas = browser.new_page()
        for name, page in visit_pages(browser, root, call_id):
            height = min(MAX_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
            size = page.viewport_size or {"width": 0, "height": 0}
            clip = {"x": 0, "y": 0, "width": size["width"], "height": max(height, size["height"])}
            png = small_png(canvas, page.screenshot(full_page=True, animations="disabled", clip=clip))
            (FOLDER / f"{name}.png").write_bytes(png)
            print(f"{name}: {len(png) / 1000:.0f} KB", flush=True)
    names = set(picture_names())
    for path in FOLDER.glob("*.png"):
        if path.stem not in names:
            path.unlink()
    print(
        f"{len(names)} pictures, {sum(path.stat().st_size for path in FOLDER.glob('*.png')) / 1e6:.1f} MB", flush=True
    )


if __name__ == "__main__":
    main()
