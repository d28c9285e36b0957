"""Published weights, only where they were asked for and only into the network that the options describe."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

import occmask

# What a network is without: norms in front of the maps, which published classifiers do not have.
_NOT_PUBLISHED = ("hidden_states_norms.", "swin.layernorm.")
# Settings of a config that change no weight and no map: how it was trained, and which maps it hands on.
_FREE = {"initializer_range", "encoder_stride", "use_mask_token", "drop_path_rate", "num_stages", "stage_names"}
_FREE |= {"out_features", "out_indices", "_out_features", "_out_indices"}


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
    network: PreTrainedModel
    found: dict[str, set[str]]
    network, found = network_class.from_pretrained(source, config=config, output_loading_info=True)  # type: ignore[misc]
    missing = sorted(name for name in found["missing_keys"] if not name.startswith(_NOT_PUBLISHED))
    if missing:
        raise occmask.OptionError(f"{what}: {source} lacks the weights {', '.join(missing[:5])} of this network")
    return network


def _check_same(
    what: str, config: PretrainedConfig, theirs: PretrainedConfig, settings: dict[str, Any], source: str
) -> None:
    if theirs.model_type != config.model_type:
        raise occmask.OptionError(f"{what}: {source} is a {theirs.model_type!r}, not a {config.model_type!r}")
    known = type(config)().to_dict().keys() - PretrainedConfig().to_dict().keys() - _FREE
    if not _has_positions(config):
        known -= {"image_size"}
    ours_plain, theirs_plain = config.to_dict(), theirs.to_dict()
    other = {key: theirs_plain.get(key) for key in sorted(known) if theirs_plain.get(key) != ours_plain.get(key)}
    if not other:
        return
    options = {key: value for key, value in other.items() if key in settings}
    if "image_size" in options:
        options["positions"] = options.pop("image_size") // theirs_plain["patch_size"]
    parts = (
        ("it has {}", options),
        ("it has {}, for which there is no option", {key: v for key, v in other.items() if key not in settings}),
    )
    told = "; ".join(text.format(", ".join(f"{k}={v!r}" for k, v in has.items())) for text, has in parts if has)
    raise occmask.OptionError(f"{what}: {source} is another network than the options say: {told}")


def _has_positions(config: PretrainedConfig) -> bool:
    """Whether the size of the pictures it was trained on decides how many positions have weights."""
    return str(config.model_type) == "dinov2"


def _first_line(e: Exception) -> str:
    return (str(e).strip() or type(e).__name__).splitlines()[0]
