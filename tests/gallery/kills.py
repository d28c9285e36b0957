"""Kill a writer again and again, and see that nothing it had committed is lost.

    python tests/gallery/kills.py 1000

A child process enrols, replaces and deletes people and says after each commit what it has done; the parent kills it
(SIGKILL) at a random moment, opens the file, checks every byte of it, and holds who is in it against what was said.
What the child was doing when it died may be there or not, but wholly.  Ends with status 1 at the first loss.
Neither process imports torch, so that a child is at work within milliseconds.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from occmask.gallery.checking import check_store
from occmask.gallery.entries import Face, PictureSource
from occmask.gallery.store import Store
from occmask.matching.storage import RecordKind, record_header

KIND = RecordKind(128, 42, True, (7, 6), "int8")
ABOUT = {"model": "a model", "precision": "int8"}
MOST_PEOPLE = 120  # in the file at once, so that deleting keeps up


@dataclass
class Outcome:
    """Of all kills so far."""

    kills: int = 0
    commits: int = 0
    unsaid: int = 0  # committed, and killed before it was said
    kinds: dict[str, int] = field(default_factory=dict)  # what was being done when the kill came


def face(rng: random.Random, name: str) -> Face:
    record = record_header(KIND) + rng.randbytes(KIND.bytes - len(record_header(KIND)))
    return Face(rng.randbytes(2 * KIND.dim), record, PictureSource(name=name))


def work(path: Path, say: int, seed: int, called: str, people: dict[str, int]) -> None:
    """Of the child, without end: everybody is called `called` and a number.

    A line is `did WHAT;NAME;COUNT` after a commit and `does ...` before it.
    """
    rng = random.Random(seed)
    store = Store(path, about=ABOUT)
    for number in range(10**9):
        what = rng.choice(["enrol", "enrol", "replace", "delete"] if people else ["enrol"])
        if len(people) > MOST_PEOPLE:
            what = "delete"
        name = f"{called} {number}" if what == "enrol" else rng.choice(sorted(people))
        count = 0 if what == "delete" else rng.randint(1, 6)
        os.write(say, f"does {what};{name};{count}\n".encode())
        if what == "delete":
            person = store.person_id(name)
            assert person is not None, f"{name} is lost"
            store.delete_person(person)
            store.empty_log()
            people.pop(name)
        else:
            store.enrol(name, [face(rng, f"{i}.png") for i in range(count)], instead=what == "replace")
            people[name] = count
        os.write(say, f"did {what};{name};{count}\n".encode())


def one_kill(path: Path, people: dict[str, int], rng: random.Random, outcome: Outcome) -> None:
    """Start a child, kill it, and compare.  `people` is what is committed, before and after."""
    listen, say = os.pipe()
    seed = rng.randrange(1 << 30)
    child = os.fork()
    if child == 0:
        try:
            os.close(listen)
            work(path, say, seed, f"person {outcome.kills}", dict(people))
        finally:
            os._exit(1)  # a child never comes back from its work alive
    os.close(say)
    first = os.read(listen, 1)  # the file is open and the first change is about to begin
    time.sleep(rng.choice([rng.uniform(0, 0.004), rng.uniform(0, 0.05), rng.uniform(0, 0.3)]))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    with open(listen, "rb") as pipe:
        lines = (first + pipe.read()).decode().splitlines()
    assert first, "the child died before it had begun"
    assert os.WIFSIGNALED(status), "the child died by itself"
    doing = take_over(lines, people, outcome)
    outcome.kills += 1
    compare(path, people, doing, outcome)


def take_over(lines: list[str], people: dict[str, int], outcome: Outcome) -> tuple[str, str, int] | None:
    """Put what was done into `people`; what was being done when the lines end."""
    doing = None
    for line in lines:
        verb, _, rest = line.partition(" ")
        what, name, count = rest.split(";")
        if verb == "does":
            doing = (what, name, int(count))
            continue
        doing = None
        outcome.commits += 1
        if what == "delete":
            del people[name]
        else:
            people[name] = int(count)
    kind = "nothing" if doing is None else doing[0]
    outcome.kinds[kind] = outcome.kinds.get(kind, 0) + 1
    return doing


def compare(path: Path, people: dict[str, int], doing: tuple[str, str, int] | None, outcome: Outcome) -> None:
    store = Store(path)
    try:
        found = check_store(store)
        assert not found.problems, f"kill {outcome.kills}: {found.problems}"
        there = {person.name: person.pictures for person in store.people()}
    finally:
        store.close()
    before, after = dict(people), dict(people)
    if doing is not None:
        what, name, count = doing
        if what == "delete":
            del after[name]
        else:
            after[name] = count
    assert there in (before, after), (
        f"kill {outcome.kills}, in {doing}: missing {sorted(set(before) - set(there))}, "
        f"or counts differ: {[n for n in there if before.get(n) != there[n]]}"
    )
    if there != before:
        outcome.unsaid += 1
        people.clear()
        people.update(there)


def kills(path: Path, count: int, seed: int) -> Iterator[Outcome]:
    """One outcome a kill, the same object each time."""
    people: dict[str, int] = {}
    rng = random.Random(seed)
    outcome = Outcome()
    for _ in range(count):
        one_kill(path, people, rng, outcome)
        yield outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        try:
            for outcome in kills(Path(folder) / "people.gallery", given.kills, given.seed):
                if outcome.kills % 100 == 0:
                    print(f"{outcome.kills} kills, {outcome.commits} commits before them", flush=True)
        except AssertionError as e:
            print(f"LOST: {e}", file=sys.stderr)
            return 1
    print(
        f"{outcome.kills} kills: {outcome.commits} commits were reported and every one was there; "
        f"{outcome.unsaid} more were whole and not yet reported; killed while {outcome.kinds}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
