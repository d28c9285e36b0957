"""What a backbone made of another library's network is built with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import occmask

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
numbers = st.tuples(*[st.floats(0.1, 0.9)] * 3)


class Network(nn.Module):
    """Two maps of two convolutions, handed on as `give` says, and a layer that nobody reads."""

    def __init__(self, give: Callable[[Tensor, Tensor], object] = lambda fine, coarse: (fine, coarse)):
        super().__init__()
        self.fine, self.coarse, self.idle = nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 6, 2, 2), nn.Linear(2, 2)
        self.norm = nn.BatchNorm2d(4)
        self.give = give

    def forward(self, image: Tensor) -> object:
        fine = self.norm(self.fine(image))
        return self.give(fine, self.coarse(fine))


def observed(network: nn.Module, size: tuple[int, int] = (32, 24)) -> tuple[occmask.FeatureShape, ...]:
    return occmask.observe_maps(network, size, name="backbone 'mine'", advice="choose a larger image_size")


@given(numbers, numbers, st.integers(0, 99))
def test_a_picture_comes_in_the_statistics_that_were_asked_for(mean, std, seed):
    levels = torch.randint(0, 256, (2, 3, 6, 5), generator=torch.Generator().manual_seed(seed)).double()
    seen = occmask.NetworkPicture((6, 5), mean=mean, std=std).double()((levels - 127.5) / 127.5)
    wanted = (levels / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert torch.allclose(seen, wanted, atol=1e-5)


def test_a_picture_is_left_alone_unless_something_is_asked_for():
    image = torch.rand(2, 3, 6, 5)
    assert torch.equal(occmask.NetworkPicture((6, 5))(image), image)


@given(st.integers(1, 20), st.integers(1, 20))
def test_a_picture_has_the_size_that_was_asked_for_and_keeps_a_plain_colour(height, width):
    seen = occmask.NetworkPicture((height, width))(torch.full((1, 3, 7, 9), 0.25))
    assert seen.shape == (1, 3, height, width)
    assert torch.allclose(seen, torch.tensor(0.25))


def test_a_checkpoint_brings_the_statistics():
    other = occmask.NetworkPicture((6, 5))
    other.load_state_dict(occmask.NetworkPicture((6, 5), mean=MEAN, std=STD).state_dict())
    image = torch.rand(1, 3, 6, 5)
    assert torch.equal(other(image), occmask.NetworkPicture((6, 5), mean=MEAN, std=STD)(image))


@pytest.mark.parametrize("options", [{"mean": (0.5,)}, {"std": (1, 1)}, {"std": (1, 1, 0)}])
def test_statistics_that_are_none_are_refused(options):
    with pytest.raises(occmask.OptionError, match="three numbers each, std above 0"):
        occmask.NetworkPicture((6, 5), **options)


def test_the_shapes_are_those_of_the_maps():
    assert observed(Network()) == (occmask.FeatureShape(4, 8, 6), occmask.FeatureShape(6, 4, 3))


def test_what_no_map_depends_on_is_frozen_and_nothing_else():
    network = Network()
    with torch.no_grad():  # whoever builds it so wants it trained later all the same
        observed(network)
    assert {name for name, p in network.named_parameters() if not p.requires_grad} == {"idle.weight", "idle.bias"}


def test_a_network_that_keeps_no_gradients_is_not_frozen():
    network = Network(lambda fine, coarse: (fine.detach(), coarse.detach()))
    observed(network)
    assert all(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_looking_changes_neither_mode_nor_statistics(training):
    network = Network().train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    observed(network)
    assert network.training is network.norm.training is training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    "give, said",
    [
        (lambda fine, coarse: (coarse, fine), "gives 1x6x4x3, 1x4x8x6, and maps come finest first; leave some out"),
        (lambda fine, coarse: (fine.mean(3),), r"gives 1x4x8 for one picture, and no maps \(1, C, H, W\)"),
        (lambda fine, coarse: (fine[..., :0],), "gives 1x4x8x0 for one picture"),
        (lambda fine, coarse: (), "gives nothing for one picture"),
    ],
)
def test_what_is_no_pyramid_of_maps_is_refused(give, said):
    with pytest.raises(occmask.OptionError, match=f"^backbone 'mine' {said}"):
        observed(Network(give))


def test_a_picture_that_a_network_cannot_take_is_told_with_its_words_and_the_advice():
    network = Network()
    with pytest.raises(
        occmask.OptionError, match=r"'mine' cannot take 3x2 pictures \(.+\); choose a larger image_size"
    ):
        observed(network, (3, 2))
    assert network.training
