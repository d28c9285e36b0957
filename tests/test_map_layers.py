"""Layers on a map: flat in files, in the map's own order in memory, and nothing copied in between."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import occmask
from occmask.map_layers import MapLinear, MapNorm

SHAPE = (6, 5, 4)
ELEMENTS = 120
FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
OPTION = pytest.mark.parametrize("option", [{}, {"mask_decoder": "vector"}, {"mask_decoder": "spatial"}], ids=str)


class OnMap(nn.Sequential):
    def __init__(self, shape=SHAPE):
        super().__init__(MapNorm(shape), MapLinear(shape, 7))


class Flat(nn.Sequential):
    """The truth: torch's own layers on the flattened map."""

    def __init__(self, elements=ELEMENTS):
        super().__init__(nn.BatchNorm1d(elements), nn.Linear(elements, 7))

    def forward(self, x):
        return super().forward(x.flatten(1))


def pair(shape=SHAPE):
    torch.manual_seed(0)
    flat = Flat(torch.Size(shape).numel())
    for tensor in flat[0].weight.data, flat[0].bias.data, flat[0].running_mean, flat[0].running_var:
        tensor.uniform_(0.5, 1.5)
    mapped = OnMap(shape)
    mapped.load_state_dict(flat.state_dict())
    return flat, mapped


def batch(shape=SHAPE, count=3):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("of_map", FORMATS)
@pytest.mark.parametrize("of_layer", FORMATS)
@pytest.mark.parametrize("training", [False, True])
def test_values_gradients_and_statistics_are_those_of_the_flat_layers(training, of_layer, of_map):
    flat, mapped = pair()
    flat.train(training)
    mapped.train(training).to(memory_format=FORMATS[of_layer])
    a = batch().requires_grad_()
    b = batch().contiguous(memory_format=FORMATS[of_map]).requires_grad_()
    one, other = flat(a), mapped(b)
    torch.testing.assert_close(other, one)
    weights = torch.randn(one.shape, generator=torch.Generator().manual_seed(2))
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    torch.testing.assert_close(b.grad, a.grad)
    for ours, theirs in zip(mapped.parameters(), flat.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.reshape(theirs.shape), theirs.grad)
    for (name, ours), (same, theirs) in zip(mapped.state_dict().items(), flat.state_dict().items(), strict=True):
        assert name == same
        torch.testing.assert_close(ours, theirs)
    if of_layer == of_map == "contiguous":
        assert torch.equal(other, one)
        assert torch.equal(b.grad, a.grad)


@pytest.mark.parametrize("shape", [(9,), (1, 5, 4), (6, 1, 1), (6, 5, 1)])
@pytest.mark.parametrize("of_map", FORMATS)
def test_vectors_single_channels_and_single_positions_are_maps_too(shape, of_map):
    flat, mapped = pair(shape)
    x = batch(shape)
    given = x.contiguous(memory_format=FORMATS[of_map]) if x.ndim == 4 else x
    for training in (False, True):
        torch.testing.assert_close(
            mapped.to(memory_format=FORMATS[of_map]).train(training)(given), flat.train(training)(x)
        )
    torch.testing.assert_close(mapped[0].state_dict(), flat[0].state_dict())


def test_a_map_of_any_other_strides_is_taken_as_what_it_is():
    flat, mapped = pair()
    x = batch().permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert not x.is_contiguous()
    assert not x.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(mapped.eval()(x), flat.eval()(x))


def test_a_map_of_another_shape_is_refused_even_if_it_has_as_many_elements():
    with pytest.raises(occmask.ShapeError, match=r"MapNorm takes \(B, 6, 5, 4\), not \(3, 6, 4, 5\)"):
        MapNorm(SHAPE)(torch.zeros(3, 6, 4, 5))
    with pytest.raises(occmask.ShapeError, match=r"MapLinear takes \(B, 6, 5, 4\), not \(3, 120\)"):
        MapLinear(SHAPE, 2)(torch.zeros(3, 120))


# -- nothing is copied -----------------------------------------------------------------------------
class Copies(TorchDispatchMode):
    """How many elements the copying operations put out that run inside."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in {
            torch.ops.aten.clone,
            torch.ops.aten.copy_,
            torch.ops.aten._to_copy,
            torch.ops.aten._reshape_copy,
        } and isinstance(out, Tensor):
            self.sizes.append(out.numel())
        return out


def copied(module, x):
    with Copies() as copies:
        module(x).sum().backward()
    return [size for size in copies.sizes if size >= x.numel() / len(x)]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_forward_and_backward_copy_neither_map_nor_parameters_where_the_formats_agree(name, training):
    module = OnMap().to(memory_format=FORMATS[name]).train(training)
    x = batch().contiguous(memory_format=FORMATS[name]).requires_grad_()
    assert copied(module, x) == []


def test_the_look_for_copies_finds_those_of_a_flatten_and_of_formats_that_differ():
    x = batch().contiguous(memory_format=torch.channels_last).requires_grad_()
    assert copied(Flat(), x)
    assert copied(OnMap(), x)


@pytest.mark.parametrize("part", ["embedding", "predictor"])
@pytest.mark.parametrize("name", FORMATS)
def test_embedding_and_predictor_read_the_map_where_it_lies(name, part):
    model = occmask.build("from_tiny").to(memory_format=FORMATS[name])
    module = model.embedding if part == "embedding" else model.head.pattern_predictor
    x = torch.rand(4, 128, 7, 6).contiguous(memory_format=FORMATS[name])
    seen = []
    norm, linear = [m for m in module.modules() if isinstance(m, (MapNorm, MapLinear))]
    linear.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    assert copied(module.eval(), x.requires_grad_()) == []
    assert seen[0].stride() == x.stride()
    assert norm.weight.is_contiguous(memory_format=FORMATS[name])
    assert linear.weight.is_contiguous(memory_format=FORMATS[name])


# -- files -----------------------------------------------------------------------------------------
@OPTION
def test_the_state_dict_is_flat_whatever_the_memory_format(option):
    torch.manual_seed(0)
    model = occmask.build("from_tiny", **option)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert before["embedding.fc.weight"].shape == (128, 128 * 7 * 6)
    assert before["embedding.bn1.running_mean"].shape == (128 * 7 * 6,)
    assert all(value.is_contiguous() for value in before.values())
    after = model.to(memory_format=torch.channels_last).state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    fresh = occmask.build("from_tiny", **option).to(memory_format=torch.channels_last)
    fresh.load_state_dict(before)
    assert all(torch.equal(value, before[name]) for name, value in fresh.state_dict().items())
    images = torch.rand(2, 3, 112, 96)
    torch.testing.assert_close(fresh.eval()(images).embedding, model.eval()(images).embedding, rtol=1e-4, atol=1e-5)


def test_a_file_fills_a_channels_last_model_and_one_that_does_not_fit_changes_nothing(tmp_path):
    saved = occmask.build("from_tiny").to(memory_format=torch.channels_last)
    occmask.save_weights(saved, tmp_path / "m.safetensors")
    model = occmask.build("from_tiny").to(memory_format=torch.channels_last)
    report = occmask.load_weights(model, tmp_path / "m.safetensors")
    assert set(report.loaded) == set(model.state_dict())
    assert torch.equal(model.embedding.fc.weight, saved.embedding.fc.weight)
    other = occmask.build("from_tiny", dim=64).to(memory_format=torch.channels_last)
    before = copy.deepcopy(other.state_dict())
    with pytest.raises(occmask.CheckpointError, match=r"\(128, 5376\) in the file, \(64, 5376\) in the model"):
        occmask.load_weights(other, tmp_path / "m.safetensors")
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


def test_loading_by_assignment_and_a_state_without_batch_counter_work_as_with_torchs_layers():
    flat, mapped = pair()
    state = {name: value for name, value in flat.state_dict().items() if "num_batches" not in name}
    for module in (mapped.to(memory_format=torch.channels_last), OnMap()):
        module.load_state_dict(state)
        module.load_state_dict(flat.state_dict(), assign=True)
        torch.testing.assert_close(module.eval()(batch()), flat.eval()(batch()))
    with pytest.raises(RuntimeError, match=r"size mismatch for 1\.weight"):
        mapped.load_state_dict({**state, "1.weight": torch.zeros(7, 3)})
    with pytest.raises(RuntimeError, match=r"Missing key.*0\.bias"):
        mapped.load_state_dict({name: value for name, value in state.items() if name != "0.bias"})


# -- the rest of torch -----------------------------------------------------------------------------
def test_initial_weights_and_random_numbers_are_those_of_the_flat_layer():
    torch.manual_seed(3)
    flat = nn.Linear(ELEMENTS, 7)
    after = torch.rand(1)
    torch.manual_seed(3)
    mapped = MapLinear(SHAPE, 7)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(mapped.state_dict()["weight"], flat.weight)
    assert torch.equal(mapped.bias, flat.bias)
    xavier = nn.init.xavier_uniform_(torch.empty(7, ELEMENTS), generator=torch.Generator().manual_seed(4))
    torch.manual_seed(4)
    nn.init.xavier_uniform_(mapped.matrix())
    assert torch.equal(mapped.state_dict()["weight"], xavier)


@pytest.mark.parametrize("name", FORMATS)
def test_layers_compile_export_with_any_batch_and_copy(name):
    _, mapped = pair()
    mapped = copy.deepcopy(mapped).eval().to(memory_format=FORMATS[name])
    x = batch().contiguous(memory_format=FORMATS[name])
    dynamic = {"input": {0: torch.export.Dim("batch", min=2, max=64)}}
    exported = torch.export.export(mapped, (x,), dynamic_shapes=dynamic).module()
    more = batch(count=5).contiguous(memory_format=FORMATS[name])
    torch.testing.assert_close(exported(more), mapped(more))
    trained, compiled = copy.deepcopy(mapped).train(), copy.deepcopy(mapped).train()
    torch.testing.assert_close(torch.compile(compiled, backend="aot_eager")(x), trained(x))
    torch.testing.assert_close(compiled.state_dict(), trained.state_dict())


def test_training_takes_one_step_alike_in_both_formats():
    results = []
    for memory_format in FORMATS.values():
        _, module = pair()
        module.to(memory_format=memory_format)
        optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(2):
            optimiser.zero_grad()
            module(batch().contiguous(memory_format=memory_format)).square().sum().backward()
            optimiser.step()
        results.append(module.state_dict())
    torch.testing.assert_close(*results)
