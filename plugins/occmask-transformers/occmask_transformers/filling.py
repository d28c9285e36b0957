"""Published weights, only where they were asked for and only into the network that the options describe."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

import occmask

# What a network is without: norms in front of the maps, which published classifiers do not have.
_NOT_PUBLISHED = ("hidden_states_norms.", "swin.layernorm.")
# What changes no number that a network of these computes: its size for training, its drawing of fresh weights.
_FREE = {"initializer_range", "encoder_stride", "use_mask_token", "drop_path_rate", "num_stages", "_out_features"}


def load_pretrained(
    what: str,
    network_class: type[PreTrainedModel],
    config: PretrainedConfig,
    settings: dict[str, Any],
    source: str,
) -> PreTrainedModel:
    """The network of `config` with the weights of `source`, a folder of `save_pretrained` or a name on the hub.

    Raises `OptionError` where the source is another network, with the options that would describe it.
    """
    try:
        theirs = AutoConfig.from_pretrained(source)
    except Exception as e:  # no such folder, no such name, no network
        raise occmask.OptionError(f"{what}: nothing can be read from pretrained={source!r} ({_first_line(e)})") from e
    _check_same(what, config, theirs, settings, source)
    network, found = network_class.from_pretrained(source, config=config, output_loading_info=True)
    missing = sorted(name for name in found["missing_keys"] if not name.startswith(_NOT_PUBLISHED))
    if missing:
        raise occmask.OptionError(f"{what}: {source} lacks the weights {', '.join(missing[:5])} of this network")
    filled: PreTrainedModel = network
    return filled


def _check_same(
    what: str, config: PretrainedConfig, theirs: PretrainedConfig, settings: dict[str, Any], source: str
) -> None:
    if theirs.model_type != config.model_type:
        raise occmask.OptionError(f"{what}: {source} is a {theirs.model_type!r}, not a {config.model_type!r}")
    known = {key for key in type(config)().to_dict() if key not in PretrainedConfig().to_dict()} - _FREE
    known -= {"out_indices", "out_features", "_out_indices", "stage_names"}
    if not _places_are_learnt(config):
        known -= {"image_size"}
    ours_plain, theirs_plain = config.to_dict(), theirs.to_dict()
    other = {key: theirs_plain.get(key) for key in sorted(known) if theirs_plain.get(key) != ours_plain.get(key)}
    if not other:
        return
    advice = ", ".join(f"{key}={value!r}" for key, value in other.items() if key in settings)
    fixed = ", ".join(f"{key}={value!r}" for key, value in other.items() if key not in settings)
    raise occmask.OptionError(
        f"{what}: {source} is another network than the options say"
        + (f"; it has {advice}" if advice else "")
        + (f"; it has {fixed}, for which there is no option" if fixed else "")
    )


def _places_are_learnt(config: PretrainedConfig) -> bool:
    """Whether the size of the pictures decides how many positions have weights."""
    return config.model_type == "dinov2"


def _first_line(e: Exception) -> str:
    return (str(e).strip() or type(e).__name__).splitlines()[0]
