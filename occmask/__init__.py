"""Occlusion-robust face recognition you can extend.

`import occmask` imports neither torch nor NumPy: every public name below is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    CheckpointError,
    DataError,
    DuplicateNameError,
    OccmaskError,
    OptionError,
    PluginError,
    ProtocolError,
    ShapeError,
    TrainingError,
    UnknownNameError,
)
from .spec import Spec
from .version import __version__ as __version__

_LAZY = {
    "BACKBONES": "backbones",
    "Bootstrap": "evaluation.bootstrap",
    "CONDITIONS": "occluders.conditions",
    "CalibrationReport": "measure.calibration",
    "DATASETS": "data",
    "EMBEDDINGS": "embeddings",
    "ExportReport": "models",
    "FaceBatch": "shapes",
    "FaceModel": "models.face",
    "FaceOutput": "shapes",
    "FacePairs": "data.pairs",
    "FaceSet": "data.faces",
    "FaceShapes": "shapes",
    "FeatureShape": "shapes",
    "GALLERY_INDEXES": "gallery",
    "Gallery": "gallery.gallery",
    "GalleryIndex": "gallery",
    "HEADS": "heads",
    "Hits": "gallery",
    "InputSpec": "images.input_spec",
    "LoadReport": "models",
    "Losses": "training.objectives",
    "MARGINS": "margins",
    "MASK_DECODERS": "heads",
    "MATCHERS": "matching",
    "METHODS": "training",
    "MODELS": "models",
    "MarginLoss": "margins.loss",
    "Method": "training.methods",
    "ModelConfig": "models",
    "NetworkPicture": "backbones.hosted",
    "OBJECTIVES": "training",
    "OCCLUDERS": "occluders",
    "Occluder": "occluders.occluder",
    "Occlusion": "shapes",
    "OcclusionAnswer": "shapes",
    "OcclusionTruth": "shapes",
    "PART_LOCATORS": "parts",
    "PATTERN_PREDICTORS": "heads",
    "PLACEMENTS": "occluders",
    "PROTOCOLS": "protocols",
    "PatternGrid": "patterns",
    "PictureSource": "gallery.entries",
    "Placed": "occluders.occlude",
    "Prepared": "matching",
    "RECIPES": "training",
    "REFINERS": "refiners",
    "REGIONS": "shapes",
    "RESTORERS": "restorers",
    "Recipe": "training.recipe",
    "Registry": "registry",
    "Restoration": "shapes",
    "Result": "protocols.result",
    "Sight": "shapes",
    "Stage": "training.methods",
    "TESTSETS": "testsets",
    "Template": "shapes",
    "UnitRows": "gallery",
    "Worn": "occluders.occluder",
    "answer_from_coverage": "coverage",
    "attach": "models",
    "build": "models",
    "build_loss": "margins",
    "calibrate": "measure.calibration",
    "cover_probes": "occluders.conditions",
    "coverage_loss": "coverage",
    "describe": "catalogue",
    "distort": "images.distortion",
    "export": "models",
    "fingerprint": "measure.protocols",
    "fit_score_calibration": "matching.calibration_fit",
    "fuse_templates": "matching.fusion",
    "list_models": "models",
    "load_faces": "data.sources",
    "load_model": "models",
    "load_pairs": "data.pairs",
    "load_weights": "models",
    "match": "matching",
    "match_pairs": "matching",
    "observe_maps": "backbones.hosted",
    "optimize": "models",
    "part_energy": "matching.quality",
    "read_picture": "images.reading",
    "rejection_curve": "evaluation.rejection",
    "run_protocol": "measure.protocols",
    "save_weights": "models",
    "search": "matching.search",
    "sized": "images.pixels",
    "split_gallery_probes": "data.split",
    "to_tensor": "images.pixels",
    "train": "training.loop",
    "train_head": "training.attached",
    "usable_area": "matching.quality",
}

__all__ = [
    "BACKBONES",
    "CONDITIONS",
    "DATASETS",
    "EMBEDDINGS",
    "GALLERY_INDEXES",
    "HEADS",
    "MARGINS",
    "MASK_DECODERS",
    "MATCHERS",
    "METHODS",
    "MODELS",
    "OBJECTIVES",
    "OCCLUDERS",
    "PART_LOCATORS",
    "PATTERN_PREDICTORS",
    "PLACEMENTS",
    "PROTOCOLS",
    "RECIPES",
    "REFINERS",
    "REGIONS",
    "RESTORERS",
    "TESTSETS",
    "Bootstrap",
    "CalibrationReport",
    "CheckpointError",
    "DataError",
    "DuplicateNameError",
    "ExportReport",
    "FaceBatch",
    "FaceModel",
    "FaceOutput",
    "FacePairs",
    "FaceSet",
    "FaceShapes",
    "FeatureShape",
    "Gallery",
    "GalleryIndex",
    "Hits",
    "InputSpec",
    "LoadReport",
    "Losses",
    "MarginLoss",
    "Method",
    "ModelConfig",
    "NetworkPicture",
    "Occluder",
    "Occlusion",
    "OcclusionAnswer",
    "OcclusionTruth",
    "OccmaskError",
    "OptionError",
    "PatternGrid",
    "PictureSource",
    "Placed",
    "PluginError",
    "Prepared",
    "ProtocolError",
    "Recipe",
    "Registry",
    "Restoration",
    "Result",
    "ShapeError",
    "Sight",
    "Spec",
    "Stage",
    "Template",
    "TrainingError",
    "UnitRows",
    "UnknownNameError",
    "Worn",
    "answer_from_coverage",
    "attach",
    "build",
    "build_loss",
    "calibrate",
    "cover_probes",
    "coverage_loss",
    "describe",
    "distort",
    "export",
    "fingerprint",
    "fit_score_calibration",
    "fuse_templates",
    "list_models",
    "load_faces",
    "load_model",
    "load_pairs",
    "load_weights",
    "match",
    "match_pairs",
    "observe_maps",
    "optimize",
    "part_energy",
    "read_picture",
    "rejection_curve",
    "run_protocol",
    "save_weights",
    "search",
    "sized",
    "split_gallery_probes",
    "to_tensor",
    "train",
    "train_head",
    "usable_area",
]

if TYPE_CHECKING:
    from .backbones import BACKBONES
    from .backbones.hosted import NetworkPicture, observe_maps
    from .catalogue import describe
    from .coverage import answer_from_coverage, coverage_loss
    from .data import DATASETS
    from .data.faces import FaceSet
    from .data.pairs import FacePairs, load_pairs
    from .data.sources import load_faces
    from .data.split import split_gallery_probes
    from .embeddings import EMBEDDINGS
    from .evaluation.bootstrap import Bootstrap
    from .evaluation.rejection import rejection_curve
    from .gallery import GALLERY_INDEXES, GalleryIndex, Hits, UnitRows
    from .gallery.entries import PictureSource
    from .gallery.gallery import Gallery
    from .heads import HEADS, MASK_DECODERS, PATTERN_PREDICTORS
    from .images.distortion import distort
    from .images.input_spec import InputSpec
    from .images.pixels import sized, to_tensor
    from .images.reading import read_picture
    from .margins import MARGINS, build_loss
    from .margins.loss import MarginLoss
    from .matching import MATCHERS, Prepared, match, match_pairs
    from .matching.calibration_fit import fit_score_calibration
    from .matching.fusion import fuse_templates
    from .matching.quality import part_energy, usable_area
    from .matching.search import search
    from .measure.calibration import CalibrationReport, calibrate
    from .measure.protocols import fingerprint, run_protocol
    from .models import (
        MODELS,
        ExportReport,
        LoadReport,
        ModelConfig,
        attach,
        build,
        export,
        list_models,
        load_model,
        load_weights,
        optimize,
        save_weights,
    )
    from .models.face import FaceModel
    from .occluders import OCCLUDERS, PLACEMENTS
    from .occluders.conditions import CONDITIONS, cover_probes
    from .occluders.occlude import Placed
    from .occluders.occluder import Occluder, Worn
    from .parts import PART_LOCATORS
    from .patterns import PatternGrid
    from .protocols import PROTOCOLS
    from .protocols.result import Result
    from .refiners import REFINERS
    from .registry import Registry
    from .restorers import RESTORERS
    from .shapes import (
        REGIONS,
        FaceBatch,
        FaceOutput,
        FaceShapes,
        FeatureShape,
        Occlusion,
        OcclusionAnswer,
        OcclusionTruth,
        Restoration,
        Sight,
        Template,
    )
    from .testsets import TESTSETS
    from .training import METHODS, OBJECTIVES, RECIPES
    from .training.attached import train_head
    from .training.loop import train
    from .training.methods import Method, Stage
    from .training.objectives import Losses
    from .training.recipe import Recipe


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'occmask' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
