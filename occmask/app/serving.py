"""Serving the page on this computer alone: no other address, no telemetry, nothing kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import OptionError
from ..matching import MATCHERS
from ..models import FaceModel
from .style import STYLE

ADDRESS = "127.0.0.1"
MAX_REQUEST = 8_000_000  # bytes: a picture of `MAX_BYTES` in base64, and something around it

_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@contextmanager
def served(model: FaceModel, *, port: int = 7860, matcher: str = "fused") -> Iterator[str]:
    """The page's address, http://127.0.0.1:PORT/, served until the block ends; `port` 0 takes a free one.

    Whatever Gradio writes goes to a folder that is removed at the end.  Raises `OptionError` without the package gradio
    and for a port that is taken, `UnknownNameError` for a matcher.
    """
    MATCHERS.build(matcher)
    if find_spec("gradio") is None:
        raise OptionError("the page needs the package gradio: pip install 'occmask[app]'")
    with tempfile.TemporaryDirectory(prefix="occmask-app-", ignore_cleanup_errors=True) as folder:
        _settle_environment(folder)
        import gradio as gr
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from .page import build_page

        page = build_page(model.eval(), matcher=matcher)
        guards = [
            Middleware(TrustedHostMiddleware, allowed_hosts=[ADDRESS, "localhost"]),
            Middleware(BodyLimit, limit=MAX_REQUEST),
        ]
        fonts = ["system-ui", "sans-serif"]  # of the computer: none are fetched
        theme = gr.themes.Base(font=fonts, font_mono=["monospace"], primary_hue="blue", neutral_hue="slate")
        theme.set(body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300")
        try:
            _, url, _ = page.launch(
                server_name=ADDRESS,
                server_port=port or _free_port(),
                share=False,
                inbrowser=False,
                quiet=True,
                prevent_thread_lock=True,
                footer_links=[],
                run_history=False,
                max_file_size=1,  # Gradio's own uploads go to files; the page sends its pictures otherwise
                ssr_mode=False,
                enable_monitoring=False,
                mcp_server=False,
                pwa=False,
                app_kwargs={"middleware": guards, "docs_url": None, "redoc_url": None, "openapi_url": None},
                theme=theme,
                css=STYLE,
            )
        except OSError as e:
            raise OptionError(f"cannot listen on {ADDRESS}:{port} ({_first_line(e)}); choose another --port") from e
        try:
            yield url
        finally:
            page.close(verbose=False)


def _settle_environment(folder: str) -> None:
    """Gradio reads its environment when imported and at launch; nothing there may open the page to others."""
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = folder
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_OFFLINE"] = "1"
    for name in ("NO_PROXY", "no_proxy"):  # Gradio asks itself whether it runs, which no proxy should answer
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), ADDRESS, "localhost"]))


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


class BodyLimit:
    """ASGI middleware: a request larger than `limit` bytes is answered 413, whatever it says about its length."""

    def __init__(self, app: Any, *, limit: int):
        self.app, self.limit = app, limit

    async def __call__(self, scope: MutableMapping[str, Any], receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope.get("headers") or ())
        said = headers.get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self.limit:
            await _refuse(send)
            return
        if scope["method"] in ("GET", "HEAD"):  # streams of events wait on `receive`; there is no body to count
            await self.app(scope, receive, send)
            return
        kept: list[MutableMapping[str, Any]] = []
        size = 0
        while True:
            message = await receive()
            kept.append(message)
            size += len(message.get("body", b""))
            if size > self.limit:
                await _refuse(send)
                return
            if message["type"] != "http.request" or not message.get("more_body"):
                break

        async def replay() -> MutableMapping[str, Any]:
            return kept.pop(0) if kept else await receive()

        await self.app(scope, replay, send)


async def _refuse(send: _Send) -> None:
    words = b"too large: a picture has at most 5 MB"
    head = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": head})
    await send({"type": "http.response.body", "body": words})
