from occmask.report import format_table


def test_each_figure_stands_in_its_row_and_column_with_its_interval(results):
    lines = format_table(results).splitlines()
    head = next(line for line in lines if "FROM" in line)
    row = next(line for line in lines if line.startswith("40 % area"))
    assert head.split("  ")[-1].strip() == "FROM"
    assert row.split("]")[2].strip() == "89.5 [ 85.5,  93.5"
    assert len(row) == len(head)
    assert lines[0] == "Rank-1 % [95 % interval]"


def test_every_metric_has_its_table(results):
    text = format_table(results)
    for value in ("51.5", "94.8", "62.6", "44.8"):  # rank-1, AUC, TAR and IoU
        assert value in text
    assert text.count("mouth mask") == 4


def test_the_text_is_ascii_and_fits_100_columns_even_with_many_methods(make_results, rank1_of):
    results = make_results(*rank1_of)
    results["methods"]["a_recipe_with_quite_a_long_name_caf\u00e9"] = results["methods"]["from"]
    text = format_table(results)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("40 % area") == 2 * 3 + 1  # six methods wrap into two tables, three with a head do not
    for method, rank1 in rank1_of.items():
        assert f"{100 * rank1[4]:.1f} [" in text, method


def test_three_methods_stay_in_one_table(results):
    assert format_table(results).count("40 % area") == 4


def test_what_is_missing_is_a_dash_or_left_out(results):
    del results["methods"]["from"]["identification"]["area_40"]
    for recipe in results["methods"].values():
        recipe.pop("occlusion", None)
    text = format_table(results)
    row = next(line for line in text.splitlines() if line.startswith("40 % area"))
    assert row.endswith(" -")
    assert "IoU" not in text
    assert format_table({}) == "nothing was measured"


def test_verification_says_whose_pairs_it_measured(results, figure):
    results["settings"]["verification"] = (
        "known people, unseen pictures: " + "all pairs of gallery pictures and probes " * 3
    )
    results["methods"]["from"]["verification_unseen"] = {"clean": {"auc": figure(0.9123), "tar": figure(0.7654)}}
    text = format_table(results)
    assert text.count("(known people, unseen pictures") == 2
    assert "AUC % (people nobody trained on) [95 % interval]" in text
    assert "91.2 [ 87.2,  95.2]" in text
    assert max(map(len, text.splitlines())) <= 100
