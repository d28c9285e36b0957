"""A head written in twenty lines outside the repository: registered, built, trained a step, saved and loaded."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import torch, occmask
from torch import nn

@occmask.HEADS.register("channel")
class ChannelHead(nn.Module):
    def __init__(self, shapes, *, hidden: int = 8):
        super().__init__()
        top = shapes.maps[-1]
        self.size = (top.height, top.width)
        self.keep = nn.Sequential(nn.Conv2d(top.channels, hidden, 1), nn.PReLU(), nn.Conv2d(hidden, 1, 1))

    def forward(self, maps):
        mask = self.keep(maps[-1])
        return occmask.Occlusion(mask, mask.flatten(1))

    def loss(self, occlusion, truth):
        keep = 1 - nn.functional.adaptive_avg_pool2d(truth.covered[:, None].float(), self.size)
        return nn.functional.binary_cross_entropy_with_logits(occlusion.mask, keep)

model = occmask.build("from_r18", head="channel", head__hidden=4)
loss = occmask.build_loss("cosface", embedding_dim=512, num_classes=3)
images, label = torch.rand(4, 3, 112, 96) * 2 - 1, torch.tensor([0, 1, 2, 0])
truth = occmask.OcclusionTruth(torch.tensor([[0, 0, 1, 0.5]] * 4), torch.rand(4, 112, 96) < 0.5)
optimiser = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.01)
output = model(images)
before = model.head.keep[0].weight.clone()
(loss(output.embedding, label) + model.occlusion_loss(output, truth)).backward()
optimiser.step()
assert not torch.equal(before, model.head.keep[0].weight)
occmask.save_weights(model, "mine.safetensors")
again = occmask.load_model("mine.safetensors")
with torch.inference_mode():
    assert torch.equal(again(images).embedding, model.eval()(images).embedding)
print(again.config.head)
"""


def test_a_head_of_a_script_goes_the_whole_way(tmp_path):
    (tmp_path / "mine.py").write_text(SCRIPT)
    run = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "Spec('channel', hidden=4)"
