"""Other projects' networks written out as plain modules, and ours filled from their files."""

from __future__ import annotations

import hashlib
import pickle
import random
import zipfile

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import occmask
from benchmarks.published import PublishedFrom, randomise
from occmask.backbones.iresnet import BLOCKS
from occmask.models.files import read_tensors
from occmask.models.foreign.checkpoint import unwrap
from occmask.models.foreign.importing import import_checkpoint, write_imported
from occmask.models.foreign.reading import read_foreign

WIDTHS = (64, 128, 256, 512)


class InsightFaceBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(cin), nn.Conv2d(cin, cout, 3, 1, 1, bias=False)
        self.bn2, self.prelu = nn.BatchNorm2d(cout), nn.PReLU(cout)
        self.conv2, self.bn3 = nn.Conv2d(cout, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.downsample = None
        if stride == 2:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class InsightFace(nn.Module):
    def __init__(self, depth=18, positions=49):
        super().__init__()
        self.conv1, self.bn1, self.prelu = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64)
        cin = 64
        for stage, (blocks, width) in enumerate(zip(BLOCKS[depth], WIDTHS, strict=True), start=1):
            inside = [InsightFaceBlock(cin, width, 2), *(InsightFaceBlock(width, width, 1) for _ in range(blocks - 1))]
            setattr(self, f"layer{stage}", nn.Sequential(*inside))
            cin = width
        self.bn2 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(512 * positions, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x):
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.bn2(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.features(self.fc(self.dropout(torch.flatten(x, 1))))


class IRBlock(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.shortcut_layer = nn.MaxPool2d(1, stride)
        if cin != cout:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(cin),
            nn.Conv2d(cin, cout, 3, 1, 1, bias=False),
            nn.BatchNorm2d(cout),
            nn.PReLU(cout),
            nn.Conv2d(cout, cout, 3, stride, 1, bias=False),
            nn.BatchNorm2d(cout),
        )

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class IR(nn.Module):
    """AdaFace's, TFace's and CVLface's."""

    def __init__(self, depth=18, dim=512):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        places, cin = [], 64
        for blocks, width in zip(BLOCKS[depth], WIDTHS, strict=True):
            places += [(cin, width, 2), *[(width, width, 1)] * (blocks - 1)]
            cin = width
        self.body = nn.Sequential(*(IRBlock(*place) for place in places))
        norm = nn.BatchNorm1d(dim, affine=False)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(0.4), nn.Flatten(), nn.Linear(512 * 49, dim), norm
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


class DeepFrom(PublishedFrom):
    """FROM with its mask from the top map alone."""

    def __init__(self):
        super().__init__("full", 4, depth=18)
        del self.mask, self.fpn
        self.triplet = nn.Sequential(nn.Conv2d(512, 512, 3, 1, 1, bias=False), nn.PReLU(512), nn.BatchNorm2d(512))

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.prelu1(self.bn1(self.conv1(x)))))))
        mask = self.triplet(x).sigmoid()
        return self.fc((x * mask).flatten(1)), None, mask, self.regress(mask.flatten(1))


class PlainFrom(PublishedFrom):
    """FROM's baseline without a mask branch."""

    def __init__(self):
        super().__init__("full", 4, depth=18)
        del self.mask, self.fpn, self.regress

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.prelu1(self.bn1(self.conv1(x)))))))
        return (self.fc(x.flatten(1)),)


def settled(model, size=(112, 112)):
    """Random weights, and statistics of the features that they make, as training leaves them."""
    randomise(nn.ModuleList([m for m in model.modules() if getattr(m, "weight", None) is not None]), seed=0)
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        model(faces(4, size, seed=1))
    generator = torch.Generator().manual_seed(2)
    for norm in norms:
        norm.running_mean += 0.1 * torch.randn(norm.running_mean.shape, generator=generator)
    return model.eval()


def faces(count=3, size=(112, 112), seed=0):
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def difference(a, b):
    return (F.normalize(a) - F.normalize(b)).abs().max().item()


@pytest.fixture(scope="module")
def insightface():
    return settled(InsightFace())


@pytest.fixture(scope="module")
def ir():
    return settled(IR())


def embed(model, images):
    with torch.inference_mode():
        return model(images)


WRAPPINGS = {
    "bare": lambda state: state,
    "data parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "arcface_torch's checkpoint": lambda state: {"epoch": 3, "global_step": 7, "state_dict_backbone": state},
    "cvlface": lambda state: {f"net.{name}": tensor for name, tensor in state.items()},
    "nested": lambda state: {"state_dict": {f"model.module.{name}": tensor for name, tensor in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_file_is_read_however_it_is_wrapped(wrapping, insightface):
    state = insightface.state_dict()
    foreign = read_foreign(unwrap(WRAPPINGS[wrapping](state), "here"), "here")
    assert foreign.layout == "insightface"
    assert foreign.theirs.keys() == state.keys()
    assert not foreign.unused


def test_an_insightface_file_computes_the_same(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    imported = import_checkpoint(tmp_path / "backbone.pth")
    assert imported.foreign.layout == "insightface"
    assert imported.model.config == occmask.MODELS["iresnet18"]()
    assert difference(embed(imported.model, faces()).embedding, embed(insightface, faces())) < 1e-5
    assert imported.parity.embedding < 1e-5
    assert imported.report.unused == imported.report.missing == ()
    norm = tuple(f"embedding.bn1.{kind}" for kind in ("bias", "running_mean", "running_var", "weight"))
    assert tuple(sorted(imported.report.converted)) == norm


def test_adaface_s_own_file_is_known_by_its_wrapper_and_takes_rgb_afterwards(ir, tmp_path):
    state = {f"model.{name}": tensor for name, tensor in ir.state_dict().items()}
    state |= {"head.kernel": torch.randn(512, 10), "head.t": torch.zeros(1)}
    torch.save({"state_dict": state, "pytorch-lightning_version": "1.4.4", "epoch": 25}, tmp_path / "adaface.ckpt")
    imported = import_checkpoint(tmp_path / "adaface.ckpt")
    assert (imported.foreign.layout, imported.foreign.colour) == ("adaface", "BGR")
    assert difference(embed(imported.model, faces()).embedding, embed(ir, faces().flip(1))) < 1e-5
    assert difference(embed(imported.model, faces()).embedding, embed(ir, faces())) > 1e-3
    assert imported.model.config.input_spec.colour == "RGB"
    assert imported.report.unused == ("head.kernel", "head.t")
    made = {f"backbone.layer1.0.downsample.{i}" for i in (0, 1)}
    assert {name.rpartition(".")[0] for name in imported.report.converted} == {
        *made,
        "backbone.conv1",
        "embedding.bn1",
        "embedding.bn2",
    }


def test_a_tface_file_takes_rgb_and_its_pooling_shortcut_becomes_a_convolution(ir, tmp_path):
    torch.save(ir.state_dict(), tmp_path / "tface.pth")
    imported = import_checkpoint(tmp_path / "tface.pth", layout="tface")
    assert difference(embed(imported.model, faces()).embedding, embed(ir, faces())) < 1e-5
    x = torch.randn(2, 64, 9, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (imported.model.backbone.layer1[0].downsample(x) - F.max_pool2d(x, 1, 2)).abs().max() < 1e-6


def test_names_that_leave_the_colours_open_are_refused_until_somebody_says_which(ir, tmp_path):
    torch.save({f"net.{name}": tensor for name, tensor in ir.state_dict().items()}, tmp_path / "model.pt")
    with pytest.raises(occmask.CheckpointError, match=r"--layout adaface or --layout tface"):
        import_checkpoint(tmp_path / "model.pt")
    with pytest.raises(occmask.CheckpointError, match=r"--layout adaface or --layout tface"):
        occmask.load_weights(occmask.build("iresnet18"), tmp_path / "model.pt")
    flipped = import_checkpoint(tmp_path / "model.pt", layout="tface", colour="BGR")
    assert difference(embed(flipped.model, faces()).embedding, embed(ir, faces().flip(1))) < 1e-5


def test_another_width_of_the_embedding_is_read_from_the_file(tmp_path):
    ir = settled(IR(dim=256))
    torch.save(ir.state_dict(), tmp_path / "small.pth")
    model = import_checkpoint(tmp_path / "small.pth", layout="tface").model
    assert model.embedding.width == 256
    assert difference(embed(model, faces()).embedding, embed(ir, faces())) < 1e-5


def test_another_size_of_picture_is_read_from_the_file(tmp_path):
    theirs = settled(InsightFace(positions=42), size=(112, 96))
    torch.save(theirs.state_dict(), tmp_path / "narrow.pth")
    model = import_checkpoint(tmp_path / "narrow.pth").model
    assert model.config.image_size == (112, 96)
    images = faces(size=(112, 96))
    assert difference(embed(model, images).embedding, embed(theirs, images)) < 1e-5


def test_half_precision_files_and_safetensors_are_read(insightface, tmp_path):
    state = {n: t.half() if t.is_floating_point() else t for n, t in insightface.state_dict().items()}
    save_file(state, tmp_path / "half.safetensors")
    imported = import_checkpoint(tmp_path / "half.safetensors")
    assert imported.parity.embedding < 1e-5
    assert all(p.dtype == torch.float32 for p in imported.model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("network, layout", [(InsightFace, "insightface"), (IR, "adaface")])
def test_fifty_layers_compute_the_same(network, layout, tmp_path):
    theirs = settled(network(50))
    torch.save(theirs.state_dict(), tmp_path / "r50.pth")
    imported = import_checkpoint(tmp_path / "r50.pth", layout=layout)
    assert imported.model.config.backbone.options["depth"] == 50
    images = faces(2)
    wanted = embed(theirs, images.flip(1) if layout == "adaface" else images)
    assert difference(embed(imported.model, images).embedding, wanted) < 1e-5
    assert len(imported.foreign.theirs) == {"insightface": 475, "adaface": 467}[layout]  # as in published files


@pytest.mark.parametrize("variant", ["full", "spatial", "vector", "deep", None])
def test_a_from_file_is_imported_with_and_without_its_mask_branch(variant, tmp_path):
    plain = {"deep": DeepFrom, None: PlainFrom}
    network = plain[variant]() if variant in plain else PublishedFrom(variant, 4, depth=18)
    theirs = settled(network, size=(112, 96))
    state = {f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}
    classifier = {"module.weight": torch.randn(20, 512)}
    torch.save({"state_dict": state, "classifier": classifier, "epoch": 3}, tmp_path / "model.pth.tar")
    imported = import_checkpoint(tmp_path / "model.pth.tar")
    images = faces(size=(112, 96))
    wanted = embed(theirs, images)
    with torch.inference_mode():
        found = imported.model(images, occlusion=variant is not None)
    assert difference(found.embedding, wanted[0]) < 1e-5
    assert imported.model.config.image_size == (112, 96)
    assert (imported.model.head is None) == (variant is None)
    assert (imported.parity.pattern is None) == (variant is None)
    if variant is not None:
        assert imported.model.config.head.options["pattern_predictor"] == occmask.Spec("classification", k=4)
        assert (found.pattern - wanted[3]).abs().max() < 1e-4 * wanted[3].abs().max()
    layers = [] if variant in plain else ["P4_2", "P5_2", "P6", "P7_2"]
    unread = {f"fpn.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert set(imported.report.unused) == {"classifier.weight", *unread}


def test_the_written_file_loads_by_itself_and_says_where_it_comes_from(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    imported = import_checkpoint(tmp_path / "backbone.pth")
    write_imported(imported, tmp_path / "stated.safetensors", licence="research only")
    write_imported(imported, tmp_path / "silent.safetensors")
    again = occmask.load_model(tmp_path / "stated.safetensors")
    assert torch.equal(embed(again, faces()).embedding, embed(imported.model, faces()).embedding)
    assert again.config.input_spec == occmask.MODELS["iresnet18"]().input_spec
    _, metadata = read_tensors(tmp_path / "stated.safetensors")
    assert metadata["source"] == "backbone.pth"
    assert metadata["source_sha256"] == hashlib.sha256((tmp_path / "backbone.pth").read_bytes()).hexdigest()
    licences = [
        occmask.load_weights(occmask.build("iresnet18"), tmp_path / f"{name}.safetensors").licence
        for name in ("stated", "silent")
    ]
    assert licences == ["research only", "not stated by the person who imported it"]
    with pytest.raises(occmask.CheckpointError, match="an occmask file already"):
        import_checkpoint(tmp_path / "stated.safetensors")


# -- starting a model of ours from real weights ------------------------------------------------


@pytest.mark.parametrize("backbone", ["iresnet18", occmask.Spec("lresnet", depth=18)], ids=str)
def test_from_starts_from_an_insightface_file_with_its_trunk_and_embedding(backbone, insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    model = occmask.build("from_r50", backbone=backbone, image_size=(112, 112)).eval()
    report = occmask.load_weights(model, tmp_path / "backbone.pth", only=("backbone", "embedding"))
    assert all(name.startswith("head.") for name in report.missing)
    with torch.inference_mode():
        clean = model(faces(), clean=True).clean
    assert difference(clean, embed(insightface, faces())) < 1e-5


def test_a_model_of_narrower_pictures_takes_the_trunk_alone(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    model = occmask.build("from_r50", backbone="iresnet18")
    with pytest.raises(occmask.CheckpointError, match=r"image_size=\(112, 112\), or take its trunk") as e:
        occmask.load_weights(model, tmp_path / "backbone.pth", only=("backbone", "embedding"))
    assert "embedding.fc.weight (fc.weight in the file): (512, 25088) in the file, (512, 21504)" in str(e.value)
    report = occmask.load_weights(model, tmp_path / "backbone.pth", only=("backbone",))
    assert torch.equal(model.backbone.conv1.weight, insightface.conv1.weight)
    assert all(name.startswith("backbone.") for name in report.loaded)


def test_another_depth_and_a_missing_mask_branch_are_explained(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(occmask.CheckpointError, match=r"backbone='iresnet18'.*no mask branch: take only="):
        occmask.load_weights(occmask.build("from_r34", image_size=(112, 112)), tmp_path / "backbone.pth")


def test_a_model_that_takes_bgr_gets_its_first_convolution_turned_round(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    model = occmask.build("iresnet18", colour="BGR").eval()
    report = occmask.load_weights(model, tmp_path / "backbone.pth")
    assert difference(embed(model, faces().flip(1)).embedding, embed(insightface, faces())) < 1e-5
    assert "backbone.conv1.weight" in report.converted


# -- files that do not fit ---------------------------------------------------------------------


def spoilt(state, name, value):
    state = dict(state)
    state.pop(name)
    return state if value is None else state | {name: value}


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("fc.weight", None, r"embedding\.fc\.weight \(fc\.weight in the file\): missing from the file"),
        ("bn2.running_var", None, r"\(bn2\.running_var in the file\): missing"),
        ("layer3.1.prelu.weight", None, r"\(layer3\.1\.prelu\.weight in the file\): missing"),
        ("layer1.0.bn1.bias", torch.zeros(65), r"\(layer1\.0\.bn1\.bias in the file\): \(65,\) in the file, \(64,\)"),
        ("conv1.weight", torch.zeros(64, 1, 3, 3), r"\(conv1\.weight in the file\): \(64, 1, 3, 3\) in the file"),
        ("fc.weight", torch.zeros(512, 1000), r"fc\.weight is \(512, 1000\); its columns are"),
        ("conv1.weight", torch.zeros(64, 3, 3, 3, dtype=torch.int8), r"conv1\.weight holds torch\.int8"),
        ("conv1.weight", torch.full((64, 3, 3, 3), torch.nan), r"does not compute what .* differ by nan"),
        ("conv1.weight", torch.zeros(64, 3, 3, 3).to_sparse(), r"conv1\.weight is sparse"),
        ("fc.weight", torch.zeros(1, 1).expand(1 << 40, 25088), r"fc\.weight has fewer values than its shape"),
        ("features.weight", None, r"\(features\.weight in the file\): missing"),
    ],
)
def test_a_tensor_that_is_missing_or_does_not_fit_is_named(name, value, words, insightface, tmp_path):
    torch.save(spoilt(insightface.state_dict(), name, value), tmp_path / "spoilt.pth")
    with pytest.raises(occmask.CheckpointError, match=words) as e:
        import_checkpoint(tmp_path / "spoilt.pth")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "name", ["body.3.res_layer.5.weight", "output_layer.4.running_mean", "body.2.shortcut_layer.0.weight"]
)
def test_a_tensor_that_an_ir_file_lacks_is_named(name, ir, tmp_path):
    torch.save(spoilt(ir.state_dict(), name, None), tmp_path / "spoilt.pth")
    with pytest.raises(occmask.CheckpointError, match=rf"\({name} in the file\): missing"):
        import_checkpoint(tmp_path / "spoilt.pth", layout="tface")


def test_what_nothing_reads_is_reported_by_name(insightface, tmp_path):
    state = {"state_dict_backbone": insightface.state_dict(), "state_dict_softmax_fc": {"weight": torch.zeros(4, 512)}}
    torch.save({**state, "state_optimizer": {"state": {0: {"momentum_buffer": torch.zeros(1)}}}}, tmp_path / "c.pt")
    report = import_checkpoint(tmp_path / "c.pt").report
    assert report.unused == ("state_dict_softmax_fc.weight", "state_optimizer.state.0.momentum_buffer")


def test_a_conversion_that_goes_wrong_is_found_by_the_parity_and_refused(ir, tmp_path, monkeypatch):
    torch.save(ir.state_dict(), tmp_path / "adaface.pth")
    monkeypatch.setattr("occmask.models.foreign.reading.flip_colours", lambda tensors: [])
    with pytest.raises(occmask.CheckpointError, match="nothing was written"):
        import_checkpoint(tmp_path / "adaface.pth", layout="adaface")


def keys(*names):
    return {name: torch.zeros(2) for name in names}


@pytest.mark.parametrize(
    "state, words",
    [
        (keys("body.0.res_layer.0.weight", "body.0.res_layer.4.weight"), r"no BatchNorm between .* face\.evoLVe"),
        (keys("body.0.res_layer.5.weight", "body.0.res_layer.se_block.fc1.weight"), "weigh their channels"),
        (keys("body.0.res_layer.4.weight", "body.0.res_layer.5.fc1.weight"), "weigh their channels"),
        (keys("body.0.res_layer.5.weight", "body.0.res_layer.8.weight"), "bottlenecks"),
        (keys("weight"), "shard of PartialFC"),
        (keys("backbone.conv1.weight", "embedding.fc.weight"), "state dict of an occmask model"),
        (keys("layer1.0.conv1.weight", "layer1.0.bn1.weight"), r"of no layout .*'layer1\.0\.bn1\.weight'"),
        (keys("patch_embed.proj.weight"), "vision transformer"),
        (keys("layer1.0.prelu.weight", "layer1.0.conv1.weight"), r"has \(1, 0, 0, 0\) blocks .* \(2, 2, 2, 2\)"),
        (keys("body.0.res_layer.5.weight", "head.kernel"), r"has 1 blocks; known are 8, 16, 24, 49, 98"),
        ({"epoch": 3}, "holds no tensors"),
    ],
)
def test_a_network_that_cannot_be_converted_is_told_why(state, words, tmp_path):
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(occmask.CheckpointError, match=words) as e:
        import_checkpoint(tmp_path / "other.pth")
    assert "\n" not in str(e.value)


def test_patterns_that_no_grid_has_are_refused():
    state = keys("layer1.0.prelu1.weight", "mask.0.weight") | {"regress.3.running_mean": torch.zeros(100)}
    state |= {f"layer{s}.{i}.prelu1.weight": torch.zeros(2) for s in (1, 2, 3, 4) for i in (0, 1)}
    with pytest.raises(occmask.CheckpointError, match="100 patterns apart"):
        read_foreign(unwrap(state, "here"), "here")


def test_a_layout_or_colour_that_the_file_or_nobody_has_is_refused(insightface):
    checkpoint = unwrap(insightface.state_dict(), "here")
    with pytest.raises(occmask.CheckpointError, match="not laid out as 'tface'; its names are those of insightface"):
        read_foreign(checkpoint, "here", layout="tface")
    with pytest.raises(occmask.OptionError, match="Did you mean 'adaface'"):
        read_foreign(checkpoint, "here", layout="adafaces")
    with pytest.raises(occmask.OptionError, match="'RGB' or 'BGR', not 'GRB'"):
        read_foreign(checkpoint, "here", colour="GRB")


def test_two_networks_in_one_file_are_refused():
    with pytest.raises(occmask.CheckpointError, match=r"two networks, with 'a\.weight' in both"):
        unwrap({"a.weight": torch.zeros(1), "model": {"a.weight": torch.ones(1)}}, "here")


# -- files that cannot be read -----------------------------------------------------------------


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code was run')",)


def inside_itself():
    state = {"layer.weight": torch.zeros(1)}
    return state | {"self": state, "again": [state]}


def too_deep():
    state = {"weight": torch.zeros(1)}
    for _ in range(50):
        state = {"inner": state}
    return state


@pytest.mark.parametrize(
    "write, words",
    [
        (lambda path: torch.save({"state_dict": Evil()}, path), "could run code"),
        (lambda path: path.write_bytes(pickle.dumps({"state_dict": Evil()})), "could run code|not a readable"),
        (lambda path: path.write_bytes(b""), "not a readable torch checkpoint"),
        (lambda path: path.write_bytes(b"\x08\x07\x12\x07pytorch\x1a"), "ONNX"),
        (lambda path: path.write_bytes(b"\x12\x01\0\0\0\0\0\0rest"), "MXNet"),
        (lambda path: torch.save(torch.zeros(4, 512), path), "one bare tensor"),
        (lambda path: torch.save([torch.zeros(4)], path), "holds a list"),
        (lambda path: torch.save(too_deep(), path), "deeper than any checkpoint"),
        (lambda path: torch.save(inside_itself(), path), "of no layout"),
    ],
)
def test_hostile_and_unreadable_files_are_one_line_errors(write, words, tmp_path):
    path = tmp_path / "file.pth"
    write(path)
    with pytest.raises(occmask.CheckpointError, match=words) as e:
        import_checkpoint(path)
    assert "\n" not in str(e.value)


def test_a_small_file_that_unpacks_to_a_large_one_is_not_unpacked(tmp_path):
    torch.save({"layer1.0.prelu.weight": torch.zeros(1 << 25)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "packed.pth", "w", 8) as packed:
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    with pytest.raises(occmask.CheckpointError, match="unpacks to"):
        import_checkpoint(tmp_path / "packed.pth")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_damaged_files_are_refused_or_read_and_never_anything_else(legacy, tmp_path):
    path, generator = tmp_path / "file.pth", random.Random(0)
    state = {"state_dict": {f"layer1.{i}.prelu.weight": torch.randn(4) for i in range(4)}, "epoch": 3}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    whole = path.read_bytes()
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 8)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        if generator.random() < 0.3:
            damaged = damaged[: generator.randrange(len(damaged))]
        path.write_bytes(damaged)
        with pytest.raises(occmask.CheckpointError):  # whole, it is of four blocks
            import_checkpoint(path)


def test_the_licence_goes_wherever_the_weights_go(tmp_path, capsys):
    torch.manual_seed(0)
    path = tmp_path / "given.safetensors"
    model = occmask.build("iresnet18")
    model.origin = {"licence": "research only", "source": "backbone.pth"}
    occmask.save_weights(model, path)
    loaded = occmask.load_model(path)
    assert loaded.origin == model.origin
    ours = occmask.build("from_r18", backbone="iresnet18", image_size=(112, 112))
    assert ours.origin == {}
    occmask.load_weights(ours, path, only=("backbone", "embedding"))
    occmask.save_weights(ours, tmp_path / "tuned.safetensors")
    assert occmask.load_model(tmp_path / "tuned.safetensors").origin["licence"] == "research only"
    from occmask.cli import main

    assert main(["show", str(tmp_path / "tuned.safetensors")]) == 0
    told = capsys.readouterr().out
    assert "licence     research only" in told
    assert '"iresnet18"' in told
    assert main(["show", str(path), "--set", "k=3"]) == 2


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"<!DOCTYPE html><html>log in</html>", "a web page, as failed downloads are"), (b"garbage" * 99, "damaged")],
)
def test_what_is_no_checkpoint_at_all_is_not_called_unsafe(data, told, tmp_path):
    path = tmp_path / "backbone.pth"
    path.write_bytes(data)
    with pytest.raises(occmask.CheckpointError, match=told):
        import_checkpoint(path)


def test_loading_another_project_s_checkpoint_as_a_model_names_the_import(insightface, tmp_path):
    torch.save(insightface.state_dict(), tmp_path / "backbone.pth")
    with pytest.raises(occmask.CheckpointError, match=r"occmask import .*backbone\.pth"):
        occmask.load_model(tmp_path / "backbone.pth")
