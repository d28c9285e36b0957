"""Plug-ins on the command line: their commands, `occmask plugins`, `occmask list`, and what is told of broken ones."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import interpreters
import pytest

GOOD = '''"""Greet somebody, 100% of the time.

More about it.
"""

def add_arguments(parser):
    parser.add_argument("--who", default="you")

def run(arguments):
    import occmask
    if arguments.who == "nobody":
        raise occmask.OptionError("nobody cannot be greeted")
    print("hello", arguments.who)
    return 3 if arguments.who == "three" else None
'''
ALPHA_ENTRIES = """[occmask.heads]
fine = alpha:Head
contested = alpha:Head
from = alpha:Head
nocolon = alpha
empty = alpha:
missing = alpha:Nothing
number = alpha:NUMBER
exits = alpha_exits:Head
[occmask.haeds]
lost = alpha:Head
[occmask.commands]
greet-them = alpha_greet
train = alpha_greet
away = alpha_nowhere
lacking = alpha
contested = alpha_greet
colon = alpha:Head
"""
BETA_ENTRIES = "[occmask.heads]\ncontested = beta:Head\nalso = beta:Head\n[occmask.commands]\ncontested = beta\n"
WORKING = {"greet-them", "fine", "also"}


def install(site: Path, name: str, entry_points: str, **modules: str) -> None:
    """A distribution as pip leaves it: metadata, and modules of one file each."""
    metadata = site / f"{name.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)
    for module, code in modules.items():
        (site / f"{module}.py").write_text(code)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two plug-ins with everything that can be wrong with one, and something that is right."""
    site = tmp_path_factory.mktemp("site")
    head = "def Head(shapes):\n    'A head.'\n"
    install(
        site,
        "occmask-alpha",
        ALPHA_ENTRIES,
        alpha=f"{head}NUMBER = 3\n",
        alpha_greet=GOOD,
        alpha_exits="import sys\nprint('noise')\nsys.exit(3)\n",
    )
    install(site, "occmask-beta", BETA_ENTRIES, beta=head)
    return site


def python(*words: str, site: Path, plugins: str | None = None) -> subprocess.CompletedProcess[str]:
    return interpreters.python(*words, paths=(site,), plugins=plugins)


def occmask(*words: str, site: Path, plugins: str | None = None) -> subprocess.CompletedProcess[str]:
    return python("-m", "occmask", *words, site=site, plugins=plugins)


# -- commands --------------------------------------------------------------------------------------
def test_help_lists_commands_of_plugins_after_our_own_and_imports_none(site: Path) -> None:
    code = (
        "import sys\nfrom occmask.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'alpha', 'alpha_greet', 'beta', 'torch'} & set(sys.modules))"
    )
    ran = python("-c", code, site=site)
    *help_lines, imported = ran.stdout.splitlines()
    text = " ".join(" ".join(help_lines).split())
    assert imported == "set()", ran.stderr
    assert "greet-them (of plug-in occmask-alpha)" in text
    assert "contested (of plug-in occmask-alpha and occmask-beta)" in text
    assert text.index("greet-them") > text.index("doctor")
    assert "alpha" not in occmask("--help", site=site, plugins="none").stdout


def test_a_plugins_command_runs_and_its_exit_code_is_ours(site: Path) -> None:
    ran = occmask("greet-them", "--who", "three", site=site)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("hello three\n", "", 3)
    assert occmask("greet-them", site=site).returncode == 0


def test_only_the_chosen_command_is_imported(site: Path) -> None:
    code = (
        "import sys\nfrom occmask.cli import main\nmain(['greet-them'])\n"
        "print({'alpha', 'beta', 'torch', 'occmask.cli.train_command'} & set(sys.modules))"
    )
    assert python("-c", code, site=site).stdout.splitlines() == ["hello you", "set()"]


def test_the_help_of_a_plugins_command_is_its_docstrings_first_line(site: Path) -> None:
    ran = occmask("greet-them", "--help", site=site)
    assert "Greet somebody, 100% of the time." in ran.stdout
    assert "More about it" not in ran.stdout
    assert "--who" in ran.stdout


def test_an_error_of_a_plugins_command_is_one_line(site: Path) -> None:
    ran = occmask("greet-them", "--who", "nobody", site=site)
    assert ran.stderr == "occmask greet-them: error: nobody cannot be greeted\n"
    assert ran.returncode == 2


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("away", "'occmask-alpha' (alpha_nowhere), which failed to load: ModuleNotFoundError"),
        ("lacking", "'occmask-alpha' (alpha), which has no function add_arguments()"),
        ("colon", "'occmask-alpha' (alpha:Head): it is written 'alpha:Head', and a command is a module"),
        ("contested", "plug-ins 'occmask-alpha' and 'occmask-beta' both call a command 'contested'"),
    ],
)
def test_a_broken_command_is_one_line_that_names_its_plugin(site: Path, command: str, told: str) -> None:
    ran = occmask(command, site=site)
    assert ran.returncode == 2
    assert told in ran.stderr
    assert ran.stderr.startswith(f"occmask {command}: error: ")
    assert ran.stderr.count("\n") == 1


def test_a_command_of_ours_stays_ours_and_says_so(site: Path) -> None:
    ran = occmask("train", "--help", site=site)
    assert "Train a recipe on a set of faces." in ran.stdout
    assert ran.stderr == "occmask train: plug-in 'occmask-alpha' has a command 'train' too; this is ours\n"


def test_one_of_two_clashing_plugins_can_be_chosen(site: Path) -> None:
    ran = occmask("contested", "--who", "me", site=site, plugins="occmask-alpha")
    assert ran.stdout == "hello me\n"


# -- plugins ---------------------------------------------------------------------------------------
def test_plugins_tells_of_everything_whether_it_loads_and_why_not(site: Path) -> None:
    ran = occmask("plugins", "--json", site=site)
    assert ran.returncode == 1
    alpha, beta = json.loads(ran.stdout)
    assert (alpha["distribution"], alpha["version"], alpha["location"]) == ("occmask-alpha", "1.0", str(site))
    assert not alpha["editable"]
    assert alpha["broken"]
    problems = {(c["kind"], c["name"]): c["problem"] for plugin in (alpha, beta) for c in plugin["components"]}
    assert {name for (_, name), problem in problems.items() if problem is None} == WORKING
    assert all("\n" not in problem for problem in problems.values() if problem)
    for name, why in {
        "nocolon": "it is written 'alpha', and a component is 'module:attribute'",
        "empty": "it is written 'alpha:'",
        "missing": "has no attribute 'Nothing'",
        "number": "cannot be called",
        "exits": "SystemExit: 3",
        "from": "which is built in and stays so",
        "contested": "'occmask-alpha' and 'occmask-beta' both call a head 'contested'",
    }.items():
        assert why in problems["head", name]
    assert "Did you mean 'occmask.heads'" in problems[None, "lost"]
    assert all(c["seconds"] >= 0 for c in alpha["components"] if c["problem"] is None)


def test_plugins_is_readable_at_80_columns(site: Path) -> None:
    ran = occmask("plugins", site=site)
    assert all(len(line) <= 80 for line in ran.stdout.splitlines() if not line.startswith("  from "))
    assert "fine                    loads in" in ran.stdout
    assert ran.stdout.endswith("2 plug-ins, 18 components, 15 broken\n")


def test_plugins_imports_nothing_that_is_switched_off(site: Path) -> None:
    ran = occmask("plugins", site=site, plugins="none")
    assert "occmask-beta 1.0  switched off by OCCMASK_PLUGINS" in ran.stdout
    assert "also                    not tried" in ran.stdout


def test_plugins_exits_with_zero_when_all_is_well_and_says_when_there_is_none(site: Path, tmp_path: Path) -> None:
    install(tmp_path, "occmask-well", "[occmask.heads]\nwell = well:Head\n", well="Head = int\n")
    ran = occmask("plugins", site=tmp_path, plugins="occmask-well")
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.endswith("1 plug-in, 1 component, nothing broken\n")
    assert "No plug-in is installed" in occmask("plugins", site=tmp_path / "nowhere").stdout


def test_metadata_that_nobody_can_read_break_nothing_but_are_told(tmp_path: Path) -> None:
    install(tmp_path, "occmask-rubbish", "[occmask.heads]\nno equals sign\n")
    install(tmp_path, "occmask-well", "[occmask.heads]\nwell = well:Head\n", well="Head = int\n")
    assert occmask("list", "--kind", "head", site=tmp_path).stdout.split() == ["from", "occupancy", "well"]
    told = json.loads(occmask("plugins", "--json", site=tmp_path).stdout)
    assert "its entry_points.txt cannot be read" in told[0]["problem"]
    assert told[0]["distribution"] == "occmask-rubbish"


def test_a_plugin_installed_for_editing_is_told_with_its_sources(tmp_path: Path) -> None:
    install(tmp_path, "occmask-well", "[occmask.heads]\nwell = well:Head\n", well="Head = int\n")
    direct = {"url": "file:///sources/of/it", "dir_info": {"editable": True}}
    (tmp_path / "occmask_well-1.0.dist-info" / "direct_url.json").write_text(json.dumps(direct))
    assert "from /sources/of/it (editable)" in occmask("plugins", site=tmp_path).stdout


# -- list and doctor -------------------------------------------------------------------------------
def test_list_goes_on_whatever_is_broken_and_names_alone_are_its_output(site: Path) -> None:
    ran = occmask("list", "--kind", "head", site=site)
    assert ran.returncode == 0
    names = ["also", "contested", "empty", "exits", "fine", "from", "missing", "nocolon", "number", "occupancy"]
    assert ran.stdout.splitlines() == names
    assert "from plug-in occmask-beta: head also\n" in ran.stderr
    assert "from plug-in occmask-alpha and occmask-beta: they clash: head contested\n" in ran.stderr


def test_a_plain_list_says_what_else_plugins_bring(site: Path) -> None:
    ran = occmask("list", site=site)
    assert "from_r50" in ran.stdout.split()
    assert "from plug-in occmask-beta: head also\n" in ran.stderr
    assert occmask("list", "--json", site=site).stderr == ""


def test_everything_is_listed_by_kind_with_the_plugin_of_each_name(site: Path) -> None:
    ran = occmask("list", "--kind", "all", site=site)
    assert "head\n  also       (occmask-beta)\n" in ran.stdout
    assert "margin\n  adaface\n" in ran.stdout
    everything = json.loads(occmask("list", "--kind", "all", "--json", site=site).stdout)
    assert everything["head"]["also"] == "occmask-beta"
    assert everything["head"]["from"] is None
    assert "from_r50" in everything["model"]


def test_listing_everything_imports_no_torch_and_no_plugin(site: Path) -> None:
    code = (
        "import sys\nfrom occmask.cli import main\nmain(['list', '--kind', 'all', '--json'])\n"
        "print({'torch', 'alpha', 'beta'} & set(sys.modules))"
    )
    assert python("-c", code, site=site).stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
def test_doctor_counts_what_is_broken_and_passes(site: Path) -> None:
    ran = occmask("doctor", site=site)
    assert ran.returncode == 0, ran.stderr
    assert "broken      occmask-alpha (" in ran.stdout
    assert "see occmask plugins" in ran.stdout
    assert "head fine occmask-alpha 1.0" in ran.stdout


# -- the registries --------------------------------------------------------------------------------
def test_a_name_that_two_plugins_claim_is_refused_and_everything_else_works(site: Path) -> None:
    code = (
        "import occmask\nocc = occmask.HEADS\nprint(occ['fine'].__module__, occ['also'].__module__)\n"
        "try: occ['contested']\nexcept occmask.DuplicateNameError as e: print(e)"
    )
    ran = python("-c", code, site=site)
    works, refused = ran.stdout.splitlines()
    assert works == "alpha beta"
    assert "'occmask-alpha' and 'occmask-beta' both call a head 'contested'" in refused
    assert "OCCMASK_PLUGINS=occmask-alpha" in refused


def test_a_built_in_name_stays_built_in_and_asking_for_it_warns_once(site: Path) -> None:
    code = "import occmask\nfor _ in range(2): print(occmask.HEADS['from'].__module__)"
    ran = python("-c", code, site=site)
    assert ran.stdout.split() == ["occmask.heads.from_head"] * 2
    assert ran.stderr.count("plug-in 'occmask-alpha' calls a head 'from', which is built in and stays so") == 1


@pytest.mark.parametrize("name", ["nocolon", "empty", "missing", "number", "exits"])
def test_a_broken_entry_point_is_an_error_that_names_its_distribution(site: Path, name: str) -> None:
    code = f"import occmask\ntry: occmask.HEADS[{name!r}]\nexcept occmask.PluginError as e: print(e)"
    assert f"head '{name}' comes from plug-in 'occmask-alpha' (alpha" in python("-c", code, site=site).stdout
