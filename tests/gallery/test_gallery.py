"""A gallery keeps people, finds them again, forgets them when told, and takes nothing that does not belong to it."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import occmask
from occmask import GALLERY_INDEXES, DataError, Gallery, Hits, OptionError, PictureSource, Spec, Template
from occmask.matching import match

MODEL = "a" * 64
DIM, GRID = 16, (2, 3)


def faces(count, seed=0, *, dim=DIM):
    generator = torch.Generator().manual_seed(seed)
    summands = torch.randn(count, 6, dim, generator=generator)
    return Template(summands.sum(1), summands, torch.rand(count, 6, generator=generator), GRID)


def of(template, which):
    return Template(*(x[which] for x in template[:3]), template.grid)


def near(template, seed=1, noise=0.1):
    generator = torch.Generator().manual_seed(seed)
    summands = template.parts + noise * torch.randn(template.parts.shape, generator=generator)
    return Template(summands.sum(1), summands, template.visible, template.grid)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "people.gallery"


@pytest.fixture
def gallery(path):
    with Gallery(path, model=MODEL) as opened:
        yield opened


def fill(gallery, people=12, pictures=3):
    all_faces = faces(people * pictures)
    for person in range(people):
        own = of(all_faces, slice(person * pictures, (person + 1) * pictures))
        sources = [PictureSource(name=f"{i}.png", sha256=f"{person}-{i}") for i in range(pictures)]
        gallery.enrol(f"person {person}", own, sources=sources, note={"number": person})
    return all_faces


def test_who_was_enrolled_is_identified_with_the_score_that_match_gives(gallery):
    enrolled = fill(gallery)
    probes = near(enrolled)
    found = gallery.identify(probes, top=3)
    scores = match(probes, enrolled)
    for probe, candidates in enumerate(found):
        assert [c.person for c in candidates[:1]] == [f"person {probe // 3}"]
        of_people = scores[probe].view(12, 3).amax(1)
        assert [c.score for c in candidates] == pytest.approx(of_people.topk(3).values.tolist(), abs=2e-3)
        assert gallery.pictures(candidates[0].person)[int(scores[probe].argmax()) % 3].id == candidates[0].picture


def test_a_person_is_verified_by_the_mean_of_the_pictures_that_are_most_alike(gallery):
    enrolled = fill(gallery)
    probes = near(of(enrolled, slice(0, 4)))
    scores = match(probes, of(enrolled, slice(0, 3)))
    for best in (1, 2, 3, 10):
        expected = scores.topk(min(best, 3)).values.mean(1)
        torch.testing.assert_close(gallery.verify("person 0", probes, best=best), expected, rtol=0, atol=2e-3)
        candidates = gallery.identify(of(probes, slice(0, 1)), top=1, best=best)[0]
        assert candidates[0].score == pytest.approx(float(expected[0]), abs=2e-3)


def test_everything_is_there_when_the_file_is_opened_again(gallery, path):
    enrolled = fill(gallery)
    before = gallery.people(), gallery.pictures("person 3"), gallery.info()
    with Gallery(path, model=MODEL) as again:
        assert (again.people(), again.pictures("person 3")) == before[:2]
        assert again.identify(near(enrolled), top=1) == gallery.identify(near(enrolled), top=1)
        assert again.info().kind == before[2].kind
        assert (again.info().people, again.info().pictures) == (12, 36)
        assert again.check() == (12, 36, ())
    assert before[1][0].name == "0.png"
    assert before[0][1].note == {"number": 1}


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_templates_come_back_as_their_precision_keeps_them(path, precision):
    template = faces(2)
    with Gallery(path, model=MODEL, precision=precision) as gallery:
        gallery.enrol("ann", template)
        back = gallery.template_of("ann")
    assert (back.parts - template.parts).abs().max() <= {"float32": 0, "float16": 2e-3, "int8": 2e-2}[precision]
    with pytest.raises(OptionError, match=f"stores templates as {precision}"):
        Gallery(path, model=MODEL, precision="int8" if precision != "int8" else "float16")


def test_templates_without_parts_are_kept_and_compared_by_their_cosine(gallery):
    embeddings = Template(torch.randn(5, DIM, generator=torch.Generator().manual_seed(0)))
    for i in range(5):
        gallery.enrol(f"p{i}", Template(embeddings.embedding[i : i + 1]))
    found = gallery.identify(embeddings, top=1)
    assert [c[0].person for c in found] == [f"p{i}" for i in range(5)]
    assert [c[0].score for c in found] == pytest.approx([1] * 5, abs=1e-3)


def test_templates_of_another_model_are_refused_with_both_names(gallery, path):
    fill(gallery)
    with pytest.raises(DataError, match=r"of the model aaaaaaaaaaaa\.\.\., and this is bbbbbbbbbbbb"):
        Gallery(path, model="b" * 64)
    with Gallery(path) as unbound, pytest.raises(OptionError, match=r"occmask\.fingerprint"):
        unbound.identify(faces(1))


def test_templates_of_another_kind_are_refused_and_nothing_is_enrolled(gallery):
    fill(gallery)
    for other in (faces(1, dim=8), Template(faces(1).embedding), faces(1)._replace(grid=(3, 2))):
        with pytest.raises(DataError, match="holds embeddings of 16 numbers"):
            gallery.enrol("new", other)
        with pytest.raises(DataError, match="cannot be compared"):
            gallery.identify(other)
    assert "new" not in gallery
    assert gallery.identify(faces(1)._replace(visible=None))[0]


def test_one_picture_is_enrolled_once_for_a_person(gallery):
    source = [PictureSource(name="a.png", sha256="1234")]
    gallery.enrol("ann", faces(1), sources=source)
    with pytest.raises(DataError, match=r"a\.png: this very picture is enrolled for ann"):
        gallery.enrol("ann", faces(1), sources=source)
    gallery.enrol("bob", faces(1), sources=source)
    assert [p.pictures for p in gallery.people()] == [1, 1]


def test_replacing_puts_the_new_faces_in_the_place_of_the_old(gallery):
    enrolled = fill(gallery)
    gallery.identify(enrolled)
    new = faces(2, seed=9)
    ids = gallery.replace("person 4", new)
    assert tuple(p.id for p in gallery.pictures("person 4")) == ids
    assert gallery.identify(near(new), top=1)[1][0].person == "person 4"
    assert gallery.verify("person 4", of(enrolled, slice(12, 13))).item() < 0.6
    with pytest.raises(DataError, match="nobody is called zoe"):
        gallery.replace("zoe", new)


def test_a_renamed_person_is_found_under_the_new_name_only(gallery):
    enrolled = fill(gallery)
    gallery.rename("person 2", "carla")
    assert gallery.identify(of(enrolled, slice(6, 7)), top=1)[0][0].person == "carla"
    assert "person 2" not in gallery
    assert gallery.check().problems == ()
    with pytest.raises(DataError, match="in this gallery already"):
        gallery.rename("carla", "person 3")


def test_a_deleted_person_is_found_no_more_and_no_byte_of_them_is_left(gallery, path, tmp_path):
    enrolled = fill(gallery)
    gallery.enrol("Xaver Quendel", near(of(enrolled, slice(0, 2)), seed=5), sources=[PictureSource(name="qqq.png")] * 2)
    with Gallery(path, model=MODEL) as other:
        records = [face.record for face in other._store.faces([p.id for p in other.pictures("Xaver Quendel")])]

    def left():
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.suffix != ".gallery-shm")
        return [trace in stored for trace in (b"Xaver Quendel", b"qqq.png", *(r[40:100] for r in records))]

    assert left() == [True] * 4
    gallery.identify(enrolled)
    assert gallery.delete("Xaver Quendel") == (2, True)
    assert left() == [False] * 4
    assert "Xaver Quendel" not in {c.person for of_face in gallery.identify(enrolled, top=12) for c in of_face}
    with pytest.raises(DataError, match="nobody is called"):
        gallery.delete("Xaver Quendel")


def test_the_last_picture_takes_its_person_along(gallery):
    ids = gallery.enrol("ann", faces(2))
    assert gallery.delete_picture(ids[0]).pictures == 1
    assert "ann" in gallery
    gallery.delete_picture(ids[1])
    assert len(gallery) == 0
    with pytest.raises(DataError, match="no picture"):
        gallery.delete_picture(ids[1])


def test_a_transaction_is_kept_whole_or_not_at_all(gallery):
    enrolled = fill(gallery, people=3)

    def fail():
        with gallery.transaction():
            gallery.enrol("new", faces(1, seed=4))
            gallery.delete("person 0")
            assert gallery.identify(near(faces(1, seed=4)), top=1)[0][0].person == "new"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "new" not in gallery
    assert gallery.identify(of(enrolled, slice(0, 1)), top=1)[0][0].person == "person 0"
    with gallery.transaction():
        gallery.enrol("first", faces(1, seed=4))
        with pytest.raises(DataError):
            gallery.enrol("second", of(enrolled, slice(0, 2)), sources=[PictureSource(sha256="s")] * 2)
        gallery.enrol("third", faces(1, seed=5))
    assert {"first", "third"} <= {p.name for p in gallery.people()}
    assert "second" not in gallery
    assert gallery.check().problems == ()


def test_what_another_connection_writes_is_found(gallery, path):
    enrolled = fill(gallery)
    gallery.identify(enrolled)
    with Gallery(path, model=MODEL) as other:
        new = faces(1, seed=77)
        other.enrol("late", new)
        assert gallery.identify(near(new), top=1)[0][0].person == "late"
        other.delete("late")
        assert gallery.identify(near(new), top=1)[0][0].person != "late"


def test_readers_go_on_while_a_writer_is_at_work(gallery, path):
    enrolled = fill(gallery)
    found, stop = [], threading.Event()

    def read():
        with Gallery(path, model=MODEL) as own:
            while not stop.is_set():
                found.append(own.identify(of(enrolled, slice(0, 1)), top=1)[0][0].person)
                assert own.check().problems == ()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(25):
        gallery.enrol(f"late {number}", faces(2, seed=100 + number))
        if number % 3 == 0:
            gallery.delete(f"late {number}")
    stop.set()
    for reader in readers:
        reader.join()
    assert len(found) > 2
    assert set(found) == {"person 0"}


def test_people_of_many_pictures_leave_room_for_others(path):
    crowd = near(of(faces(1), torch.zeros(80, dtype=torch.long)), noise=0.01)
    with Gallery(path, model=MODEL, candidates=10) as gallery:
        gallery.enrol("crowd", crowd)
        for i in range(5):
            gallery.enrol(f"p{i}", faces(1, seed=20 + i))
        assert len(gallery.identify(faces(1), top=4)[0]) == 4
        assert len(gallery.identify(faces(1), top=40)[0]) == 6


def test_an_empty_gallery_finds_nobody_and_is_whole(gallery):
    assert gallery.identify(faces(2)) == ((), ())
    assert gallery.people() == ()
    assert gallery.info().kind is None
    assert gallery.check() == (0, 0, ())


@pytest.mark.parametrize("memory", [0, 256_000_000])
def test_the_exact_index_finds_the_same_whether_it_reads_the_file_or_keeps_it(path, memory):
    with Gallery(path, model=MODEL, index=Spec("exact", memory=memory)) as gallery:
        enrolled = fill(gallery)
        assert gallery.identify(enrolled, top=1)[5][0].person == "person 1"
        gallery.enrol("more", near(faces(1, seed=8)))
        assert gallery.identify(faces(1, seed=8), top=1)[0][0].person == "more"
        gallery.delete("person 1")
        assert gallery.identify(enrolled, top=1)[5][0].person != "person 1"
    with pytest.raises(OptionError, match="memory is a number of bytes"):
        Gallery(path, model=MODEL, index=Spec("exact", memory=-1)).identify(faces(1))


class CountingIndex:
    """A toy: keeps all rows in a dictionary."""

    built = 0

    def __init__(self, source, *, shift: float = 0.0):
        type(self).built += 1
        self.shift = shift
        self.rows = {int(i): row for block in source.blocks() for i, row in zip(*block, strict=True)}

    def add(self, rows):
        self.rows |= {int(i): row for i, row in zip(*rows, strict=True)}

    def remove(self, ids):
        for i in ids:
            del self.rows[int(i)]

    def search(self, queries, *, top):
        ids = np.array(sorted(self.rows), np.int64)
        cosines = queries @ np.stack([self.rows[int(i)] for i in ids]).astype(np.float32).T + self.shift
        order = np.argsort(-cosines, axis=1)[:, :top]
        return Hits(ids[order], np.take_along_axis(cosines, order, 1))


def test_an_index_of_a_plugin_is_kept_up_to_date_and_gives_the_same_people(path):
    GALLERY_INDEXES.register("counting", CountingIndex)
    CountingIndex.built = 0
    with Gallery(path, model=MODEL, index=Spec("counting", shift=0.5)) as gallery, Gallery(path, model=MODEL) as exact:
        enrolled = fill(gallery)
        probes = near(enrolled)
        assert gallery.identify(probes) == exact.identify(probes)
        gallery.enrol("more", faces(1, seed=8))
        gallery.replace("person 1", faces(2, seed=9))
        gallery.delete("person 2")
        assert gallery.identify(probes) == exact.identify(probes)
        assert CountingIndex.built == 1
        exact.delete("person 3")
        assert gallery.identify(probes) == exact.identify(probes)
        assert CountingIndex.built == 2


def test_a_gallery_moves_by_json_lines_and_nothing_is_lost(gallery, path, tmp_path):
    enrolled = fill(gallery)
    assert gallery.export(tmp_path / "people.jsonl") == 36
    with Gallery(tmp_path / "copy.gallery", model=MODEL) as copy:
        assert copy.add_from(tmp_path / "people.jsonl") == 36
        assert copy.people() == gallery.people()
        assert [p[1:] for p in copy.pictures("person 3")] == [p[1:] for p in gallery.pictures("person 3")]
        assert copy.check().problems == ()
        mine, other = copy.identify(near(enrolled)), gallery.identify(near(enrolled))
        assert [[c.person for c in of_face] for of_face in mine] == [[c.person for c in of_face] for of_face in other]
        with pytest.raises(DataError, match=r"line 2: .*enrolled for person 0 already"):
            copy.add_from(tmp_path / "people.jsonl")
        assert copy.info().pictures == 36


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:1] + [lines[1][:-20]], "cut off"),
        (lambda lines: [lines[0].replace("aaaa", "bbbb"), *lines[1:]], "of the model"),
        (lambda lines: ['{"occmask_gallery": 2}\n'], "later version"),
        (lambda lines: [lines[0], lines[1], "[1, 2]\n"], "line 3: no JSON object"),
        (lambda lines: [lines[0], lines[1], "{}\n"], "line 3: not a picture"),
        (lambda lines: [lines[0], lines[1].replace('"template": "b2NtV', '"template": "b2NtX')], "checksum"),
        (lambda lines: [lines[0], lines[1].replace('"person 0"', '" "')], "line 2: a person has a name"),
        (lambda lines: [lines[0], "[" * 100_000 + "\n"], "line 2: no JSON"),
    ],
)
def test_a_damaged_export_is_refused_by_line_and_adds_nobody(gallery, tmp_path, change, message):
    fill(gallery, people=2)
    gallery.export(tmp_path / "people.jsonl")
    lines = (tmp_path / "people.jsonl").read_text().splitlines(keepends=True)
    assert '"template": "b2NtV' in lines[1]
    (tmp_path / "people.jsonl").write_text("".join(change(lines)))
    with Gallery(tmp_path / "copy.gallery", model=MODEL) as copy:
        with pytest.raises(DataError, match=message):
            copy.add_from(tmp_path / "people.jsonl")
        assert len(copy) == 0


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b", "x" * 300, "\ud800", 7])
def test_names_that_cannot_be_printed_are_refused(gallery, name):
    with pytest.raises(OptionError, match="name"):
        gallery.enrol(name, faces(1))
    assert len(gallery) == 0


@pytest.mark.parametrize("note", [{"a": float("nan")}, {"a": object()}, {"a": "x" * 70_000}])
def test_notes_that_are_no_small_json_are_refused(gallery, note):
    with pytest.raises(OptionError, match="JSON"):
        gallery.enrol("ann", faces(1), note=note)


@pytest.mark.parametrize(
    "wrong", [{"model": ""}, {"precision": "fp8"}, {"candidates": 0}, {"matcher": "nothing"}, {"index": "nothing"}]
)
def test_options_that_cannot_be_are_refused(path, wrong):
    def use():
        with Gallery(path, **{"model": MODEL, **wrong}) as gallery:
            gallery.enrol("ann", faces(1))
            gallery.identify(faces(1))

    with pytest.raises(occmask.OccmaskError):
        use()


def test_there_must_be_a_face_and_a_source_for_each(gallery):
    with pytest.raises(OptionError, match="without a face"):
        gallery.enrol("ann", faces(0))
    with pytest.raises(OptionError, match="2 faces and 1 sources"):
        gallery.enrol("ann", faces(2), sources=[PictureSource()])
    for options in ({"top": 0}, {"best": 0}):
        with pytest.raises(OptionError, match="at least 1"):
            gallery.identify(faces(1), **options)


def test_only_the_owner_may_read_the_file_and_its_export(gallery, path, tmp_path):
    fill(gallery, people=1)
    gallery.export(tmp_path / "out.jsonl")
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert {file.name for file in tmp_path.iterdir()} == {
        "people.gallery", "people.gallery-wal", "people.gallery-shm", "out.jsonl"
    }  # fmt: skip


def test_a_gallery_is_listed_and_cleared_without_torch(gallery, path):
    fill(gallery, people=2)
    code = (
        "import sys, json; from occmask import Gallery\n"
        f"with Gallery({str(path)!r}) as g: names = [p.name for p in g.people()]; g.delete(names[0]); g.check()\n"
        "print(json.dumps([names, 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [["person 0", "person 1"], False]


def test_the_fingerprint_tells_models_apart(path):
    torch.manual_seed(0)
    models = [occmask.build("from_tiny", image_size=(56, 48)).eval() for _ in range(2)]
    names = [occmask.fingerprint(model) for model in models]
    assert names[0] != names[1]
    with Gallery(path, model=names[0]) as gallery, torch.inference_mode():
        gallery.enrol("ann", models[0].template(torch.rand(2, 3, 56, 48)))
    with pytest.raises(DataError, match="holds templates of the model"):
        Gallery(path, model=names[1])
