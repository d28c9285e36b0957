"""Models for other programs: torch.export and ONNX files that need neither occmask nor, for ONNX, torch."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import CheckpointError, OptionError
from .face import FaceModel
from .inference import InferenceModel
from .weights import model_metadata

TOLERANCE = 1e-4  # the largest difference between a file's answers and the model's that is let pass
BATCHES = (1, 3, 16)  # tried before a file is kept
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Run = Callable[[Tensor], dict[str, Tensor]]


class ExportReport(NamedTuple):
    """How far the written file's answers are from the model's, over made-up pictures in batches of 1, 3 and 16."""

    path: Path
    difference: dict[str, float]  # output -> largest absolute difference
    other_boxes: int  # faces for which two boxes are as good as each other and the file names the other one
    faces: int


class FaceProgram(nn.Module):
    """What is exported: images (B, 3, H, W) as the model's `InputSpec` wants them -> a dictionary of outputs.

    "embedding" (B, D), not normalised; where the model sees occlusion also "cells" (B, K, K) and "covered" (B,)
    probabilities, and "box" (B, 4), as in `OcclusionAnswer`.
    """

    def __init__(self, model: FaceModel, *, occlusion: bool):
        super().__init__()
        self.model, self.occlusion = model, occlusion

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        output = self.model(images, occlusion=self.occlusion)
        if not self.occlusion:
            return {"embedding": output.embedding}
        return {"embedding": output.embedding, **self.model.occlusion_answer(output)._asdict()}


def export(model: FaceModel, path: str | os.PathLike[str], *, occlusion: bool | None = None) -> ExportReport:
    """Write `model` as a program: `face.pt2` for `torch.export.load`, `face.onnx` for ONNX Runtime and others.

    The batch is free; the image size is the model's.  `occlusion`: also answer what is covered (None: whenever the
    model sees occlusion).  The file carries the model's config and `InputSpec`: as "occmask.json" among the extra files
    of a .pt2, as metadata of an .onnx.  Before the file appears, its answers are compared with the model's at batch 1,
    3 and 16.  Raises `OptionError` (another extension, missing packages, a model that cannot be exported) and
    `CheckpointError` when the answers differ by more than 1e-4 or the file cannot be written; nothing is left then.
    """
    target = Path(path)
    write = {".pt2": _write_program, ".onnx": _write_onnx}.get(target.suffix)
    if write is None:
        raise OptionError(f"{target}: a model is exported as .pt2 (torch.export) or .onnx, not {target.suffix!r}")
    if isinstance(model, InferenceModel):
        raise OptionError("an optimized model is packed for this machine; export the original")
    if occlusion and not model.sees_occlusion:
        raise OptionError("a model without a head sees no occlusion; leave occlusion out")
    own = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    program = FaceProgram(own, occlusion=own.sees_occlusion if occlusion is None else occlusion)
    metadata = {name: value for name, value in model_metadata(model).items() if name != "plugins"}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
            written = Path(folder) / target.name
            run = write(program, written, metadata)
            report = _compare(program, run, target)
            # A large ONNX model keeps its weights in a second file, face.onnx.data, without which it is of no use.
            for part in sorted(written.parent.iterdir(), reverse=True):
                os.replace(part, target.parent / part.name)
    except OSError as e:
        raise CheckpointError(
            f"cannot write {target}: {e.strerror or e}; choose a folder that can be written to"
        ) from e
    return report


def _write_program(program: FaceProgram, path: Path, metadata: dict[str, str]) -> Run:
    made = io.BytesIO()  # written to a path, a full disk makes torch abort the whole process
    torch.export.save(_exported(program), made, extra_files={"occmask.json": json.dumps(metadata)})
    path.write_bytes(made.getbuffer())
    loaded = torch.export.load(path).module()
    return lambda images: loaded(images)


def _exported(program: FaceProgram) -> torch.export.ExportedProgram:
    with torch.no_grad(), _quiet():
        return torch.export.export(program, (_faces(program, 2),), dynamic_shapes=_free_batch(), strict=False)


def _write_onnx(program: FaceProgram, path: Path, metadata: dict[str, str]) -> Run:
    missing = [name for name in _ONNX_PACKAGES if find_spec(name) is None]
    if missing:
        raise OptionError(f"an ONNX file needs {', '.join(missing)}: pip install 'occmask[onnx]'")
    import onnxruntime

    outputs = list(program(_faces(program, 2)))
    with torch.no_grad(), _quiet():
        made = torch.onnx.export(
            program,
            (_faces(program, 2),),
            dynamo=True,
            dynamic_shapes=_free_batch(),
            input_names=["images"],
            output_names=outputs,
            verbose=False,
        )
    assert made is not None
    made.model.metadata_props.update(metadata)
    made.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> dict[str, Tensor]:
        answers = session.run(outputs, {"images": images.numpy()})
        return {name: torch.from_numpy(answer) for name, answer in zip(outputs, answers, strict=True)}

    return run


def _free_batch() -> dict[str, dict[int, torch.export.Dim]]:
    return {"images": {0: torch.export.Dim("batch", min=1)}}


def _faces(program: FaceProgram, count: int) -> Tensor:
    """Soft blobs with a little noise in the model's own range, the same at every call: bare noise drives every answer
    to its limit, where all programs agree."""
    height, width = program.model.config.image_size
    spec = program.model.config.input_spec
    generator = torch.Generator().manual_seed(count)
    blobs = torch.rand(count, 3, 7, 6, generator=generator) * 235
    levels = nn.functional.interpolate(blobs, (height, width), mode="bilinear")
    levels += 20 * torch.rand(count, 3, height, width, generator=generator)
    return (levels - spec.mean) / spec.scale


def _compare(program: FaceProgram, run: Run, target: Path) -> ExportReport:
    difference: dict[str, float] = {}
    other_boxes = 0
    for count in BATCHES:
        images = _faces(program, count)
        with torch.inference_mode():
            expected = program(images)
        found = run(images)
        for name, value in expected.items():
            if name == "box":  # one of a finite list, so a rounding error gives the same or quite another one
                other_boxes += int(((found[name] - value).abs().amax(1) > TOLERANCE).sum())
            else:
                worst = float((found[name] - value).abs().max())
                difference[name] = max(difference.get(name, 0.0), worst)
    off = {name: worst for name, worst in difference.items() if not worst <= TOLERANCE}
    if off:
        told = ", ".join(f"{name} by {worst:.1e}" for name, worst in off.items())
        raise CheckpointError(f"{target} is not written: its answers differ from the model's, {told}")
    return ExportReport(target, difference, other_boxes, sum(BATCHES))


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters talk about themselves; what matters is an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (CheckpointError, OSError):
        raise
    except Exception as e:  # whatever the exporter cannot follow in somebody's component
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise OptionError(f"this model cannot be exported: {reason}") from e
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
