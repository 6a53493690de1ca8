"""The picture of the HTML report in README.md: `python -m scripts.docs.report_picture` makes docs/report.png anew."""

from pathlib import Path
from tempfile import TemporaryDirectory

from puller import __version__
from puller.model import RunDetails
from puller.report.html import render
from tests.lab.browser import Opened, chromium
from tests.lab.realistic import realistic

PICTURE = Path(__file__).parents[2] / "docs/report.png"
WIDTH, MARGIN = 1060, 10
DETAILS = RunDetails(
    "build-7",
    "engine 28.5.2 through its API (1.51)",
    ("images.txt",),
    "puller pull images.txt --report html=report.html",
    __version__,
    1,
)


def main() -> None:
    """Take a picture of a made-up run: its head, its causes, and the lanes of two registries."""
    with TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder) / "report.html"
        path.write_text(render(realistic()._replace(details=DETAILS)), "utf-8")
        with Opened(browser, path, viewport={"width": WIDTH, "height": 2000}, color_scheme="light") as it:
            last = it.page.locator(".lane").nth(1).bounding_box()
            assert last
            height = last["y"] + last["height"] + MARGIN
            it.page.screenshot(path=PICTURE, clip={"x": 0, "y": 0, "width": WIDTH, "height": height}, full_page=True)


if __name__ == "__main__":
    main()
