"""Named configurations. Each is a function returning a `ModelConfig`; variants derive from each other."""

from __future__ import annotations

from ..spec import Spec
from .config import ModelConfig


def from_r50() -> ModelConfig:
    """FROM as published: LResNet50E-IR, feature pyramid, full mask, 226 patterns at K = 5 (Qiu et al. 2022)."""
    return ModelConfig(
        image_size=(112, 96),
        backbone=Spec("lresnet", depth=50),
        head=Spec("from", mask_decoder="full", pattern_predictor=Spec("classification", k=5)),
        embedding=Spec("flat", dim=512),
    )


def from_r18() -> ModelConfig:
    """FROM on LResNet18E-IR."""
    return from_r50().override(backbone__depth=18)


def from_r34() -> ModelConfig:
    """FROM on LResNet34E-IR."""
    return from_r50().override(backbone__depth=34)


def from_r100() -> ModelConfig:
    """FROM on LResNet100E-IR."""
    return from_r50().override(backbone__depth=100)


def from_r50_spatial() -> ModelConfig:
    """One mask value per position, shared by all channels: the paper's 2-D ablation."""
    return from_r50().override(head__mask_decoder="spatial")


def from_r50_vector() -> ModelConfig:
    """A mask on the finished embedding: the paper's fully connected ablation."""
    return from_r50().override(head__mask_decoder="vector")


def from_r50_deep() -> ModelConfig:
    """A mask from the top map alone, without the pyramid: the paper's deep ablation."""
    return from_r50().override(head__mask_decoder="deep")


def from_r50_regression() -> ModelConfig:
    """The covered box by regression of its corners instead of classification."""
    return from_r50().override(head__pattern_predictor="regression")


def baseline_r50() -> ModelConfig:
    """The same recogniser without a mask branch: the paper's baseline and every experiment's control."""
    return from_r50().override(head=None)


def iresnet50() -> ModelConfig:
    """InsightFace's recogniser of 112x112 crops, without a mask branch; `occmask import` fills it with real weights."""
    return ModelConfig(
        image_size=(112, 112),
        backbone=Spec("iresnet", depth=50),
        head=None,
        embedding=Spec("flat", dim=512, dropout=0.0),
    )


def iresnet18() -> ModelConfig:
    """InsightFace's recogniser with 18 layers."""
    return iresnet50().override(backbone__depth=18)


def iresnet34() -> ModelConfig:
    """InsightFace's recogniser with 34 layers."""
    return iresnet50().override(backbone__depth=34)


def iresnet100() -> ModelConfig:
    """InsightFace's recogniser with 100 layers."""
    return iresnet50().override(backbone__depth=100)


def iresnet200() -> ModelConfig:
    """InsightFace's recogniser with 200 layers."""
    return iresnet50().override(backbone__depth=200)


def from_tiny() -> ModelConfig:
    """FROM at the size of the demo: trains in a minute on two CPU cores."""
    predictor = Spec("classification", k=5, logit_gain=2.5)  # a short run has no time to grow the gain itself
    return ModelConfig(
        image_size=(112, 96),
        backbone=Spec("tiny"),
        head=Spec("from", width=32, mask_decoder="full", pattern_predictor=predictor),
        embedding=Spec("flat", dim=128),
    )
