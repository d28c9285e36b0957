"""Find each BatchNorm that a neighbouring layer can absorb exactly, in any module that `torch.export` can follow.

The exported graph is only read: it says which module's result goes where, and which parameters are read at all.  The
module keeps its code; the layer gets new numbers and the BatchNorm becomes an Identity.  A BatchNorm in front of a
zero-padded convolution stays: the padding is zero after the normalisation, and would not be before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.export.graph_signature import InputKind
from torch.fx import Node

from ..map_layers import MapLinear, MapNorm

Layer = nn.Conv2d | nn.Linear | MapLinear
Norm = nn.BatchNorm1d | nn.BatchNorm2d | MapNorm

_NORM_AFTER = {(nn.Conv2d, nn.BatchNorm2d), (nn.Linear, nn.BatchNorm1d), (MapLinear, nn.BatchNorm1d)}
_NORM_BEFORE = {(nn.BatchNorm2d, nn.Conv2d), (nn.BatchNorm1d, nn.Linear), (MapNorm, MapLinear)}


class _Flow(NamedTuple):
    """What the exported graph says about a module."""

    pairs: list[tuple[str, str]]  # names of submodules; all of the first's result goes into the second and nowhere else
    read: frozenset[str]  # names of the parameters and buffers that the result depends on


def fold_batchnorms(module: nn.Module, arguments: tuple[Tensor, ...]) -> frozenset[str] | None:
    """Fold in place, for evaluation; `arguments` are any that fit.

    Returns the names of the parameters and buffers that `module(*arguments)` read before, or None where it could not be
    exported and is left as it was.
    """
    try:
        with torch.no_grad():
            program = torch.export.export(module, arguments, strict=False)
    except Exception:  # whatever somebody's module does that cannot be followed
        return None
    flow = _read(module, program)
    folded = set()
    for first, second in flow.pairs:
        a, b = module.get_submodule(first), module.get_submodule(second)
        if (type(a), type(b)) in _NORM_AFTER:
            _absorb_norm_after(a, b)  # type: ignore[arg-type]
            _replace(module, second)
            folded.add(second)
    for first, second in flow.pairs:
        a, b = module.get_submodule(first), module.get_submodule(second)
        if first not in folded and (type(a), type(b)) in _NORM_BEFORE and _pads_nothing(b):
            _absorb_norm_before(a, b)  # type: ignore[arg-type]
            _replace(module, first)
    return flow.read


def _absorb_norm_after(layer: Layer, norm: Norm) -> None:
    """norm(W x + c) = (s W) x + (s c + t)."""
    scale, shift = _affine(norm)
    weight = layer.weight.detach().double() * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    bias = shift if layer.bias is None else layer.bias.detach().double() * scale + shift
    _set(layer, weight, bias)


def _absorb_norm_before(norm: Norm, layer: Layer) -> None:
    """W norm(x) + c = (W s) x + (W t + c), sums over what each output sees."""
    scale, shift = _affine(norm)
    if isinstance(layer, nn.Conv2d):
        scale, shift = scale[:, None, None], shift[:, None, None]
    weight = layer.weight.detach().double()
    bias = (weight * shift).flatten(1).sum(1)
    if layer.bias is not None:
        bias = bias + layer.bias.detach().double()
    _set(layer, weight * scale, bias)


def _affine(norm: Norm) -> tuple[Tensor, Tensor]:
    """Scale and shift of a BatchNorm in evaluation, in float64 so that only the result is rounded."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.weight is not None:
        gain = norm.weight.detach().double()
        scale, shift = scale * gain, shift * gain
    return scale, shift if norm.bias is None else shift + norm.bias.detach().double()


def _set(layer: Layer, weight: Tensor, bias: Tensor) -> None:
    like = layer.weight
    layer.weight = nn.Parameter(weight.to(like.dtype), requires_grad=False)
    layer.bias = nn.Parameter(bias.to(like.dtype), requires_grad=False)


def _replace(module: nn.Module, name: str) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())


def _pads_nothing(layer: nn.Module) -> bool:
    if not isinstance(layer, nn.Conv2d):
        return True
    return layer.groups == 1 and (layer.padding == "valid" or set(layer.padding) == {0})


def _read(module: nn.Module, program: torch.export.ExportedProgram) -> _Flow:
    graph = program.graph
    inputs = {spec.arg.name: spec for spec in program.graph_signature.input_specs if hasattr(spec.arg, "name")}
    state: dict[Node, str] = {}
    for node in graph.nodes:
        spec = inputs.get(node.name) if node.op == "placeholder" else None
        if spec is not None and spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            state[node] = str(spec.target)
    uses = Counter({name: len(node.users) for node, name in state.items()})
    nodes: dict[str, list[Node]] = {}
    for node in graph.nodes:
        nodes.setdefault(_owner(node), []).append(node)
    candidates = {name for name in nodes if name and _is_plain(module, name, uses)}
    pairs = []
    for second in sorted(candidates):
        sources = {
            _before(source)
            for node in nodes[second]
            for source in node.all_input_nodes
            if source not in state and _owner(source) != second
        }
        first = _owner(next(iter(sources))) if len(sources) == 1 else ""
        if first in candidates and all(_owner(user) == second for user in _users(nodes[first], first)):
            rows = isinstance(module.get_submodule(second), (nn.BatchNorm1d, nn.Linear))
            if not rows or next(iter(sources)).meta["val"].ndim == 2:  # of (B, L, C) each would take another axis
                pairs.append((first, second))
    return _Flow(pairs, frozenset(name for name, count in uses.items() if count))


def _owner(node: Node) -> str:
    """The name of the innermost submodule whose code made this node; empty for the outermost."""
    if node.op != "call_function":
        return ""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack else ""


def _is_dropout(node: Node) -> bool:
    """Dropout in evaluation, which hands on what it gets."""
    return node.target is torch.ops.aten.dropout.default and node.args[2] is False


def _before(node: Node) -> Node:
    while _is_dropout(node):
        (node,) = node.all_input_nodes
    return node


def _users(nodes: list[Node], name: str) -> Iterator[Node]:
    """Who reads what these nodes of one submodule hand out."""
    waiting = [user for node in nodes for user in node.users if _owner(user) != name]
    while waiting:
        user = waiting.pop()
        if _is_dropout(user):
            waiting += user.users
        else:
            yield user


def _is_plain(module: nn.Module, name: str, uses: Counter[str]) -> bool:
    """A layer or a norm of exactly these classes, unhooked, unshared, called once: only its numbers count."""
    try:
        child = module.get_submodule(name)
    except AttributeError:  # the second call of one module goes by another name
        return False
    if type(child) not in {kind for pair in _NORM_AFTER | _NORM_BEFORE for kind in pair}:
        return False
    if child._forward_hooks or child._forward_pre_hooks or "forward" in vars(child):
        return False
    if isinstance(child, Norm) and child.running_mean is None:
        return False
    instances = Counter(id(m) for _, m in module.named_modules(remove_duplicate=False))
    owners = Counter(id(p) for _, p in module.named_parameters(remove_duplicate=False))
    if instances[id(child)] != 1 or any(owners[id(p)] != 1 for p in child.parameters()):
        return False
    return all(uses[f"{name}.{own}"] <= 1 for own, _ in child.named_parameters()) and uses[f"{name}.running_mean"] <= 1
