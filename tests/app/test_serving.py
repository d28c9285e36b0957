"""Serving without Gradio: the guard of request sizes, the environment, and what is said where Gradio is missing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

import occmask
from occmask.app import serving
from occmask.cli import main
from occmask.errors import OptionError, UnknownNameError


async def swallow(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads its request wholly and answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(chunks: list[bytes], *, said: bytes | None = None, method: str = "POST") -> list[MutableMapping[str, Any]]:
    headers = [] if said is None else [(b"content-length", said)]
    waiting = [{"type": "http.request", "body": c, "more_body": i + 1 < len(chunks)} for i, c in enumerate(chunks)]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    guard = serving.BodyLimit(swallow, limit=100)
    asyncio.run(guard({"type": "http", "method": method, "headers": headers}, receive, send))
    return sent


def test_a_small_request_arrives_whole() -> None:
    assert ask([b"a" * 60, b"b" * 40])[1]["body"] == b"100"
    assert ask([b""], method="GET")[0]["status"] == 200


@pytest.mark.parametrize(
    ("chunks", "said"),
    [([b"a"], b"101"), ([b"a" * 101], None), ([b"a" * 60, b"b" * 60], None), ([b"a"], b"-5"), ([b"a" * 101], b"3")],
)
def test_a_large_request_is_refused_whatever_it_says_of_its_length(chunks: list[bytes], said: bytes | None) -> None:
    assert ask(chunks, said=said)[0]["status"] == 413


def test_nothing_in_the_environment_opens_the_page_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.update(GRADIO_SERVER_NAME="0.0.0.0", GRADIO_SHARE="True", GRADIO_ALLOWED_PATHS="/", NO_PROXY="a.org")
    serving._settle_environment("/somewhere")
    left = {name: value for name, value in os.environ.items() if name.startswith("GRADIO_")}
    assert left == {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": "/somewhere"}
    assert os.environ["NO_PROXY"] == "a.org,127.0.0.1,localhost"


def test_without_gradio_one_line_says_how_to_get_it(
    blind: occmask.FaceModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'occmask\[app\]'"), serving.served(blind):
        pass
    weights = tmp_path / "model.safetensors"
    occmask.save_weights(blind, weights)
    assert main(["app", "--weights", str(weights)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'occmask[app]'" in said


def test_a_matcher_that_does_not_exist_and_a_port_that_cannot_be_are_refused_first(
    blind: occmask.FaceModel, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownNameError, match="fused"), serving.served(blind, matcher="fussed"):
        pass
    assert main(["app", "--weights", "none.safetensors", "--port", "70000"]) == 2
    assert "65535" in capsys.readouterr().err


def test_no_option_opens_the_page_to_other_computers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["app", "--help"])
    said = capsys.readouterr().out
    assert "--host" not in said
    assert "--share" not in said
