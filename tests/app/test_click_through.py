"""A person's visit to the page, in Chromium, with the mouse: needs the extra `app-test` and an installed Chromium."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

import occmask
from occmask.images.pixels import Pixels

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PATIENCE = 30_000  # milliseconds
# The page's program, which writes down every address outside this computer that it wants to talk to.
PROGRAM = """
import sys
LOCAL = ("127.0.0.1", "::1", "localhost", None)
def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in LOCAL:
        print("OUTSIDE", arguments[1], flush=True)
    if event == "socket.getaddrinfo" and arguments[0] not in LOCAL:
        print("OUTSIDE", arguments[0], flush=True)
    if event == "socket.bind" and isinstance(arguments[1], tuple):
        print("BIND", arguments[1][0], flush=True)
sys.addaudithook(watch)
from occmask.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Served(NamedTuple):
    url: str
    said: Path  # what the program printed
    temporary: Path  # its folder for temporary files


@contextmanager
def program(model: occmask.FaceModel, folder: Path) -> Iterator[Served]:
    weights, said, temporary = folder / "model.safetensors", folder / "said.txt", folder / "temporary"
    temporary.mkdir()
    occmask.save_weights(model, weights)
    words = [sys.executable, "-c", PROGRAM, "app", "--weights", str(weights), "--port", "0"]
    environment = {**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    with said.open("w") as out:
        running = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"open (http://\S+)", said.read_text())):
            assert running.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)
        yield Served(found[1], said, temporary)
    finally:
        running.terminate()
        running.wait(20)


@pytest.fixture(scope="module")
def served(seeing: occmask.FaceModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("app")
    with program(seeing, folder) as running:
        yield running
    assert "OUTSIDE" not in running.said.read_text()
    assert not list(running.temporary.iterdir()), "the program left files behind"


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        started = player.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


class Visit:
    """One open page, and what a person does and reads there."""

    def __init__(self, page: Any, url: str):
        self.page, self.outside, self.complaints = page, [], []
        page.on("request", lambda request: self._note(request.url))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#om-second .om-frame")

    def _note(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.outside.append(url)

    def choose(self, stage: str, path: Path) -> None:
        self.page.set_input_files(f"#{stage} input[type=file]", str(path))

    def middle(self, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        area = self.page.locator(selector).first.bounding_box()
        return area["x"] + area["width"] * across, area["y"] + area["height"] * down

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=10)
        self.page.mouse.up()

    def drag_cover(self, stage: str, kind: str, across: float, down: float) -> None:
        self.page.locator(f"#{stage} .om-palette").scroll_into_view_if_needed()
        self.drag(self.middle(f"#{stage} [data-kind={kind}]"), self.middle(f"#{stage} .om-frame", across, down))

    def cards(self) -> list[str]:
        return [card.inner_text() for card in self.page.locator("#om-details .om-grid .om-card").all()]

    def put(self, face: int) -> int:
        """Percent of the face that the covers hide, as the page tells it."""
        found = re.search(r"Your covers: (\d+) %", self.cards()[face - 1])
        assert found is not None
        return int(found[1])

    def settle(self) -> None:
        """Until nothing on the page has changed for half a second."""
        before, since = None, time.monotonic()
        while time.monotonic() - since < 0.5:
            now = self.page.locator("gradio-app").inner_html()
            if now != before:
                before, since = now, time.monotonic()
            self.page.wait_for_timeout(60)

    def score(self) -> str:
        return str(self.page.locator("#om-headline strong").inner_text())


@pytest.fixture(scope="module")
def files(faces: list[Pixels], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("faces")
    paths = [folder / f"face{number}.png" for number in range(len(faces))]
    for path, face in zip(paths, faces, strict=True):
        Image.fromarray(face).save(path)
    return paths


@pytest.fixture
def visit(browser: Any, served: Served) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page(), served.url)
    yield visit
    context.close()
    assert not visit.outside
    assert not visit.complaints


@pytest.fixture
def comparing(visit: Visit, files: list[Path]) -> Visit:
    """A visit with both faces opened."""
    visit.choose("om-first", files[0])
    visit.choose("om-second", files[1])
    visit.page.wait_for_selector("#om-details .om-grid")
    visit.settle()
    return visit


def test_one_picture_is_not_yet_a_comparison(visit: Visit, files: list[Path]) -> None:
    assert "Open a picture for each face" in visit.page.locator("#om-headline").inner_text()
    visit.choose("om-first", files[0])
    visit.page.wait_for_selector("#om-first .om-filled")
    visit.settle()
    assert "Open a picture for each face" in visit.page.locator("#om-headline").inner_text()


def test_a_cover_dragged_onto_a_face_is_what_the_model_then_sees(comparing: Visit) -> None:
    before = comparing.score()
    assert comparing.put(1) == comparing.put(2) == 0
    comparing.drag_cover("om-first", "mask", 0.5, 0.7)
    comparing.settle()
    assert 10 < comparing.put(1) < 50
    assert comparing.put(2) == 0
    assert comparing.score() != before
    assert f"Without the covers: {before}" in comparing.page.locator("#om-headline").inner_text()
    x, y = comparing.middle("#om-first .om-cover")
    goal = comparing.middle("#om-first .om-frame", 0.5, 0.7)
    assert abs(x - goal[0]) < 3
    assert abs(y - goal[1]) < 3


def test_the_shown_picture_is_covered_where_the_cover_was_dropped(comparing: Visit) -> None:
    source = "() => document.querySelector('#om-details .om-face img').src"
    before = comparing.page.evaluate(source)
    comparing.drag_cover("om-first", "box", 0.5, 0.75)
    comparing.settle()
    from occmask.app.pictures import pixels_of_url

    changed = np.any(
        pixels_of_url(comparing.page.evaluate(source), (112, 96)) != pixels_of_url(before, (112, 96)), axis=2
    )
    rows, columns = np.nonzero(changed)
    assert abs(rows.mean() / 112 - 0.75) < 0.03
    assert abs(columns.mean() / 96 - 0.5) < 0.03


def test_covers_are_moved_scaled_and_removed_with_the_mouse(comparing: Visit) -> None:
    comparing.drag_cover("om-second", "box", 0.5, 0.5)
    comparing.settle()
    first = comparing.put(2)
    assert first > 10
    cover = "#om-second .om-cover"
    comparing.drag(comparing.middle(cover), comparing.middle("#om-second .om-frame", 0.95, 0.5))
    comparing.settle()
    assert 0 < comparing.put(2) < 0.8 * first  # half of it hangs off the face, but its handles do not
    edge = comparing.middle("#om-second .om-frame", 1.0)[0]
    for handle in (".om-grip", ".om-off"):
        area = comparing.page.locator(f"{cover} {handle}").bounding_box()
        assert area["x"] + area["width"] <= edge
    comparing.drag(comparing.middle(cover, 0.2), comparing.middle("#om-second .om-frame", 0.3, 0.5))
    comparing.settle()
    assert comparing.put(2) == pytest.approx(first, abs=1)
    comparing.drag(comparing.middle(f"{cover} .om-grip"), comparing.middle("#om-second .om-frame", 0.98, 0.98))
    comparing.settle()
    assert comparing.put(2) > first + 10
    comparing.page.click(f"{cover} .om-off")
    comparing.settle()
    assert comparing.put(2) == 0
    assert comparing.page.locator(cover).count() == 0


def test_a_click_seats_a_cover_and_the_keyboard_moves_it(comparing: Visit) -> None:
    comparing.page.click("#om-first [data-kind=sunglasses]")
    comparing.settle()
    assert comparing.put(1) > 3
    cover = comparing.page.locator("#om-first .om-cover")
    cover.focus()
    before = cover.bounding_box()
    comparing.page.keyboard.press("ArrowDown")
    comparing.page.keyboard.press("+")
    assert cover.bounding_box()["y"] != before["y"]
    assert cover.bounding_box()["width"] > before["width"]
    comparing.page.keyboard.press("Delete")
    comparing.settle()
    assert comparing.put(1) == 0


def test_a_cover_dropped_beside_the_face_is_gone(comparing: Visit) -> None:
    start, end = comparing.middle("#om-first [data-kind=cup]"), comparing.middle("#om-first .om-frame")
    comparing.page.mouse.move(*start)
    comparing.page.mouse.down()
    comparing.page.mouse.move(*end, steps=6)
    comparing.page.mouse.move(*comparing.middle("#om-second .om-frame"), steps=6)
    comparing.page.mouse.up()
    comparing.settle()
    assert comparing.page.locator(".om-cover").count() == 0
    assert comparing.put(1) == 0


def test_uncover_takes_every_cover_of_that_face_away(comparing: Visit) -> None:
    before = comparing.score()
    for kind in ("hand", "oval", "pattern"):
        comparing.page.click(f"#om-first [data-kind={kind}]")
    comparing.page.click("#om-second [data-kind=scarf]")
    comparing.settle()
    assert comparing.page.locator("#om-first .om-cover").count() == 3
    comparing.page.click("#om-first .om-clear")
    comparing.settle()
    assert comparing.put(1) == 0
    assert comparing.put(2) > 0
    comparing.page.click("#om-second .om-clear")
    comparing.settle()
    assert comparing.score() == before


def test_a_file_dropped_on_the_frame_is_opened(comparing: Visit, files: list[Path]) -> None:
    before = comparing.score()
    encoded = list(files[2].read_bytes())
    data = comparing.page.evaluate_handle(
        "bytes => { const t = new DataTransfer();"
        " t.items.add(new File([new Uint8Array(bytes)], 'c.png', {type: 'image/png'})); return t; }",
        encoded,
    )
    comparing.page.dispatch_event("#om-second .om-frame", "drop", {"dataTransfer": data})
    comparing.settle()
    assert comparing.score() != before


def test_files_that_cannot_be_used_are_refused_in_words(comparing: Visit, tmp_path: Path) -> None:
    before = comparing.score()
    large, text, wide = tmp_path / "large.png", tmp_path / "text.png", tmp_path / "wide.png"
    large.write_bytes(b"\x89PNG" + b"0" * 5_000_001)
    text.write_text("no picture")
    Image.new("RGB", (400, 200), "tan").save(wide)
    note = comparing.page.locator("#om-first .om-note")
    for path, words in ((large, "5 MB"), (text, "not a picture")):
        comparing.choose("om-first", path)
        note.filter(has_text=words).wait_for()
        assert comparing.score() == before
    comparing.choose("om-first", wide)
    note.filter(has_text="occmask align").wait_for()
    assert comparing.page.locator("#om-first .om-mark").first.is_visible()
    assert not comparing.page.locator("#om-second .om-mark").first.is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
def test_the_page_fits_and_is_readable(
    browser: Any, served: Served, files: list[Path], width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, has_touch=width < 500)
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page(), served.url)
    for stage, path in zip(("om-first", "om-second"), files, strict=False):
        visit.choose(stage, path)
    visit.page.wait_for_selector("#om-details .om-grid")
    if width < 500:
        visit.page.locator("#om-first [data-kind=mask]").tap()
        visit.settle()
        assert visit.put(1) > 10
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ink, paper = visit.page.evaluate(
        "() => { const s = getComputedStyle(document.querySelector('#om-details .om-card'));"
        " return [s.color, s.backgroundColor].map(c => c.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)); }"
    )
    assert (ink > paper) == (scheme == "dark")
    assert abs(ink - paper) > 350
    assert not visit.outside
    assert not visit.complaints
    context.close()


def status(url: str, *, host: str | None = None) -> int:
    request = urllib.request.Request(url, headers={} if host is None else {"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_program_listens_on_this_computer_alone_and_refuses_what_no_browser_of_it_sends(served: Served) -> None:
    assert served.url.startswith("http://127.0.0.1:")
    assert set(re.findall(r"BIND (\S+)", served.said.read_text())) <= {"127.0.0.1"}
    assert status(served.url) == 200
    assert status(served.url, host="evil.example") == 400
    connection = http.client.HTTPConnection(served.url.split("/")[2], timeout=20)
    connection.putrequest("POST", "/gradio_api/component_server")
    connection.putheader("Content-Length", "8000001")
    connection.endheaders()
    assert connection.getresponse().status == 413  # before any of it is sent
    connection.close()
    assert status(f"{served.url}docs") == status(f"{served.url}openapi.json") == 404


def test_gradio_s_own_way_to_write_files_is_closed(served: Served) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + b"0" * 5000 + b"\r\n--x--\r\n"
    )
    request = urllib.request.Request(
        f"{served.url}gradio_api/upload", data=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=20)


def test_pictures_are_never_written(comparing: Visit, served: Served) -> None:
    comparing.drag_cover("om-first", "mask", 0.5, 0.7)
    comparing.settle()
    assert [path for path in served.temporary.rglob("*") if path.is_file()] == []
