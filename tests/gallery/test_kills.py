"""A writer that is killed at any moment loses nothing that it had committed."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_25_kills_of_a_writer_lose_no_committed_person():
    """The full run: `python tests/gallery/kills.py 1000`."""
    done = subprocess.run([sys.executable, str(SCRIPT), "25", "--seed", "7"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "25 kills" in done.stdout


def test_the_comparison_would_see_a_loss(tmp_path):
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import kills
    finally:
        sys.path.pop(0)
    import random

    path, outcome, rng = tmp_path / "people.gallery", kills.Outcome(), random.Random(0)
    store = kills.Store(path, about=kills.ABOUT)
    store.enrol("ann", [kills.face(rng, "0.png")])
    store.close()
    kills.compare(path, {"ann": 1}, None, outcome)
    kills.compare(path, {}, ("enrol", "ann", 1), outcome)
    assert outcome.unsaid == 1
    with pytest.raises(AssertionError, match=r"missing \['bob'\]"):
        kills.compare(path, {"ann": 1, "bob": 2}, None, outcome)
    with pytest.raises(AssertionError, match=r"counts differ: \['ann'\]"):
        kills.compare(path, {"ann": 2}, ("delete", "ann", 0), outcome)
