# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from worlds import circle_recording

from locdreamer_ros.benchmarks import BENCHMARKS
from locdreamer_ros.cli import COMMANDS, main
from locdreamer_ros.cli import method as method_module
from locdreamer_ros.cli.options import check_output
from locdreamer_ros.datasets.range_table import save_anchors, save_range_table
from locdreamer_ros.files import write_atomically
from locdreamer_ros.methods import PRESETS, SCHEDULERS, TRACKERS
from locdreamer_ros.simulation import ENVIRONMENTS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recording(tmp_path):
    """walk.csv and walk_anchors.csv in a folder of their own."""
    folder = tmp_path / "in"
    walk = circle_recording(duration=10.0)
    save_range_table(folder / "walk.csv", walk)
    save_anchors(folder / "walk_anchors.csv", walk.anchors)
    return folder / "walk.csv"


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line of a command that must fail with code 2."""
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("locdreamer: ")
    return line.removeprefix("locdreamer: ")


def numbers(path: Path) -> dict[str, object]:
    """A JSON result without the times, which never repeat."""
    return {k: v for k, v in json.loads(path.read_text()).items() if not k.startswith("step_us")}


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    assert ended.value.code == 0
    assert "usage: locdreamer" in capsys.readouterr().out


def test_help_names_what_there_is(capsys):
    for command, names in (
        ("track", TRACKERS),
        ("track", SCHEDULERS),
        ("track", PRESETS),
        ("simulate", ENVIRONMENTS),
        ("benchmark", BENCHMARKS),
    ):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        for name in names:
            assert name in told


def test_track_writes_everything(recording, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["track", str(recording), "--tracker", "ekf", "--scheduler", "random"]
    outputs = {"--json": "a.json", "--output": "a.csv", "--plot": "a.png"}
    for option, name in outputs.items():
        arguments += [option, str(out / name)]
    assert main(arguments) == 0
    assert "MAE m" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "a.json", "a.png"]
    report = json.loads((out / "a.json").read_text())
    assert (report["tracker"], report["scheduler"], report["steps"]) == ("ekf", "random", 90)
    assert len((out / "a.csv").read_text().splitlines()) == 101


def test_same_seed_same_result(recording, tmp_path, capsys):
    results = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        path = tmp_path / f"{name}.json"
        arguments = ["--tracker", "particle", "--scheduler", "random", "--seed", seed]
        assert main(["track", str(recording), *arguments, "--json", str(path)]) == 0
        results.append(numbers(path))
    assert results[0] == results[1]
    assert results[0]["mae"] != results[2]["mae"]
    capsys.readouterr()


def test_track_without_truth_writes_estimates(tmp_path, capsys):
    walk = dataclasses.replace(circle_recording(duration=5.0), truth=None)
    save_range_table(tmp_path / "walk.csv", walk)
    save_anchors(tmp_path / "walk_anchors.csv", walk.anchors)
    out = tmp_path / "e.csv"
    assert main(["track", str(tmp_path / "walk.csv"), "--output", str(out)]) == 0
    assert "no ground truth" in capsys.readouterr().out
    assert len(out.read_text().splitlines()) == 51


def test_a_stated_accuracy_saves_ranges(recording, tmp_path):
    spent = []
    for stop in ([], ["--accuracy", "0.5"], ["--price", "0.05"]):
        path = tmp_path / "a.json"
        command = ["track", str(recording), "--scheduler", "sequential", *stop]
        assert main([*command, "--json", str(path)]) == 0
        spent.append(json.loads(path.read_text())["ranges_per_fix"])
    assert spent[0] == 3.0
    assert max(spent[1:]) < 3.0


def test_parameter_file(recording, tmp_path, capsys):
    file = tmp_path / "p.yaml"
    file.write_text(
        "/**: {ros__parameters: {frame: map}}\n"
        "tracker_node:\n  ros__parameters:\n    tracker: ekf\n    scheduler: all\n"
        "    ekf: {sigma_n: 0.1}\n"
    )
    path = tmp_path / "a.json"
    command = ["track", str(recording), "--params", str(file), "--json", str(path)]
    assert main(command) == 0
    report = numbers(path)
    assert (report["tracker"], report["scheduler"]) == ("ekf", "all")
    assert main([*command, "--scheduler", "gdop"]) == 0
    assert numbers(path)["scheduler"] == "gdop"
    file.write_text(file.read_text().replace("0.1", "1.0"))
    assert main(command) == 0
    assert numbers(path)["mae"] != report["mae"]
    capsys.readouterr()


def test_the_shipped_parameters_are_understood(recording, capsys):
    shipped = ROOT / "config" / "tracker.yaml"
    assert main(["track", str(recording), "--params", str(shipped)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tracker_node: {ros__parameters: {speed: 3}}", "unknown key 'speed'"),
        ("tracker_node: {ros__parameters: {ekf: {sigma: 3.0}}}", "unknown key 'sigma'"),
        ("tracker_node: {ros__parameters: {ekf.sigma_n: -1.0}}", "sigma_n: expected a value in"),
        ("tracker_node: {ros__parameters: {budget: 0}}", "budget: expected a value in [1, 255]"),
        (
            "tracker_node: {ros__parameters: {tracker: foo}}",
            "tracker: expected one of zero-shot, ekf",
        ),
        ("other_node: {ros__parameters: {a: 1}}", "no such node"),
        ("tracker_node: [1", "not YAML"),
    ],
)
def test_bad_parameter_file(recording, tmp_path, capsys, text, expected):
    file = tmp_path / "p.yaml"
    file.write_text(text)
    line = complaint(capsys, "track", recording, "--params", file)
    assert expected in line
    assert "p.yaml" in line or "foo" in line


BAD_TABLES = {
    "missing column": ("t_s,r_A1\n0,1\n", "missing column r_A2"),
    "unknown anchor": (None, "no anchor 'B9' in the anchors file"),
    "not a number": ("{head}\n0,1o5{rest}\n", "row 2, column r_A1: expected a number, got '1o5'"),
    "absurd range": ("{head}\n0,52345{rest}\n", "row 2, column r_A1: expected a range of at most"),
    "no time": ("{head}\nnan,1{rest}\n", "row 2, column t_s"),
    "ragged": ("{head}\n0,1\n", "row 2: expected 9 columns, got 2"),
    "empty": ("", "empty file"),
    "only a header": ("{head}\n", "no epochs below the header"),
    "no ranges at all": ("{head}\n0,{rest}\n1,{rest}\n", "no first fix"),
}


@pytest.mark.promise(
    "A damaged range table is one line that names file, row and column; nothing is written."
)
@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_recording(recording, tmp_path, capsys, case):
    text, expected = BAD_TABLES[case]
    head = "t_s," + ",".join(f"r_A{i}" for i in range(1, 9))
    if text is None:
        text = "{head},r_B9\n0,1{rest},1\n"
    filler = ",nan" * 7 if case == "no ranges at all" else ",2" * 7
    recording.write_text(text.format(head=head, rest=filler))
    out = tmp_path / "out"
    outputs = ["--json", out / "a.json", "--output", out / "a.csv", "--plot", out / "a.png"]
    line = complaint(capsys, "track", recording, *outputs)
    assert expected in line
    assert "walk" in line
    assert not out.exists()


def test_text_that_is_no_text(recording, capsys):
    recording.write_bytes(b"\xff\xfe\x00")
    assert "walk.csv" in complaint(capsys, "track", recording)


@pytest.mark.promise("A bad option is one line that names it, before any work; nothing is written.")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--tracker", "foo"], "--tracker: expected one of zero-shot, ekf, robust-ekf"),
        (["--scheduler", "foo"], "--scheduler: expected one of foresight, gdop, sequential"),
        (["--preset", "foo"], "tracker zero-shot: unknown preset 'foo'"),
        (["--budget", "0"], "--budget: expected a value in [1, 255], got 0"),
        (["--accuracy", "0.1"], "scheduler foresight chooses its anchors beforehand"),
        (
            ["--scheduler", "sequential", "--price", "-1"],
            "price: expected a value in [0, 1000], got -1.0",
        ),
        (["--scheduler", "sequential", "--accuracy", "nan"], "accuracy: expected"),
        (["--seed", "-1"], "--seed: expected a whole number >= 0"),
        (["--dimensions", "4"], "--dimensions"),
        (["--params", "nope.yaml"], "nope.yaml: cannot read"),
        (["--anchors", "nope.csv"], "nope.csv: cannot read"),
        (["--plot", "x.gif"], "x.gif: expected a name ending in .png"),
        (["--json", "{folder}"], "expected a file to write, it is a folder"),
        (["--json", "{file}/a.json"], "is not a folder"),
        (["--tag-height", "high"], "--tag-height"),
        (["--json", "/proc/a.json"], "cannot write in /proc: "),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
        (["--mod", "x"], "unrecognized arguments: --mod"),
    ],
)
def test_bad_options(recording, capsys, arguments, expected):
    filled = [a.format(folder=recording.parent, file=recording) for a in arguments]
    before = sorted(recording.parent.iterdir())
    assert expected in complaint(capsys, "track", recording, *filled)
    assert sorted(recording.parent.iterdir()) == before


@pytest.mark.parametrize("option", [("--storage", "mcap"), ("--bag-version", "9")])
def test_a_table_has_no_storage(recording, tmp_path, capsys, option):
    output = tmp_path / "again.csv"
    line = complaint(capsys, "convert", "csv", recording, "--output", output, *option)
    assert f"{output}: --storage and --bag-version are of a bag" in line
    assert not output.exists()


def test_missing_files(capsys, tmp_path):
    assert "no such file" in complaint(capsys, "track", tmp_path / "nope.csv")
    assert "required: COMMAND" in complaint(capsys)
    assert "invalid choice" in complaint(capsys, "fly")


@pytest.mark.parametrize("command", [("plan", "house"), ("survey", "walk.csv")])
@pytest.mark.parametrize("word", ["nan", "inf", "high"])
def test_a_height_is_a_number(capsys, command, word):
    line = complaint(capsys, *command, "--tag-height", word)
    assert f"--tag-height: expected a number, got '{word}'" in line


def test_simulate(tmp_path, capsys):
    out, result = tmp_path / "x.csv", tmp_path / "x.json"
    arguments = ["simulate", "--duration", "20", "--rate", "5", "--output", str(out)]
    assert main([*arguments, "--json", str(result)]) == 0
    first = out.read_text()
    assert json.loads(result.read_text())["epochs"] == 100
    assert first.startswith("t_s,gt_x,gt_y,gt_z,r_")
    assert main([*arguments, "--seed", "1"]) == 0
    assert out.read_text() != first
    assert main(arguments) == 0
    assert out.read_text() == first
    assert main(["track", str(out)]) == 0  # finds x_anchors.csv
    assert main([*arguments, "--odometry", "0.02"]) == 0
    moving = out.read_text().splitlines()
    assert moving[0].startswith("t_s,gt_x,gt_y,gt_z,odom_x,odom_y,odom_yaw,gyro_z,r_")
    columns = (0, 1, 2, 3, *range(8, moving[0].count(",") + 1))
    kept = [",".join(row.split(",")[c] for c in columns) for row in moving]
    assert kept == first.splitlines()  # it changes nothing else
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--environment", "castle"], "unknown environment 'castle'"),
        (["--deploy", "A1,Z9,A2"], "unknown anchor 'Z9'"),
        (["--duration", "-3"], "--duration: expected a number > 0, got '-3'"),
        (["--rate", "nan"], "--rate: expected a number > 0, got 'nan'"),
        (["--output", "x.txt"], "x.txt: expected a name ending in .csv"),
        (["--odometry", "2"], "odometry: expected a drift in 0 .. 1 of the distance, got 2"),
    ],
)
def test_bad_simulate(tmp_path, capsys, arguments, expected, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = complaint(capsys, "simulate", "--duration", "5", "--output", "x.csv", *arguments)
    assert expected in line
    assert list(tmp_path.iterdir()) == []


def run_python(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "locdreamer_ros.cli", *arguments],
        text=True,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        **options,  # type: ignore[call-overload]
    )


def test_a_reader_who_leaves(recording):
    reading, writing = os.pipe()
    os.close(reading)
    process = run_python("track", str(recording), stdout=writing)
    os.close(writing)
    assert process.communicate()[1] == ""
    assert process.returncode == 0


def test_a_preset_gives_way_only_to_what_differs_from_the_defaults(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(
        "tracker_node: {ros__parameters: {tracker: ekf, preset: paper, "
        "ekf: {sigma_acc: 1.0, sigma_n: 0.7}}}"
    )
    parser = argparse.ArgumentParser()
    method_module.add_method(parser)
    chosen = method_module.read_method(parser.parse_args(["--params", str(file)]))
    assert chosen.parameters == {"sigma_n": 0.7}
    assert np.isclose(chosen.tag_height, -1.0)


def test_a_result_replaces_neither_its_source_nor_another(recording, tmp_path, capsys):
    bag = tmp_path / "run" / "bag"
    assert main(["convert", "csv", str(recording), "--output", str(bag)]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    anchors = recording.with_name("walk_anchors.csv")
    offline = ("demo", "--offline", "--source", "replay", "--recording")
    for arguments, named in (
        (("track", recording, "--output", recording), recording),
        (("track", recording, "--json", anchors), anchors),
        (("track", bag, "--output", bag / "bag.mcap"), bag / "bag.mcap"),
        (("convert", "bag", bag / "bag.mcap", "--output", bag), bag),
        (("convert", "csv", recording, "--output", anchors), anchors),
        (("survey", recording, "--json", recording), recording),
        (("calibrate", recording, "--output", anchors), anchors),
        ((*offline, bag, "--output", bag.parent), bag),
    ):
        assert complaint(capsys, *arguments) == f"{named}: is the source; choose another name"
    both = tmp_path / "both.svg"
    line = complaint(capsys, "track", recording, "--json", both, "--plot", both)
    assert line == f"{both}: two results cannot have one name"
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_a_result_goes_through_links_and_pipes(tmp_path):
    """As `--json /dev/stdout`: a device that is replaced by a file is gone for everybody."""
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe.json"
    link.symlink_to(target)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for path in (link, pipe):
        check_output(path)
        with write_atomically(path) as stream:
            stream.write("result")
    assert link.is_symlink()
    assert target.read_text() == "result"
    assert os.read(reader, 100) == b"result"
    os.close(reader)
    assert not path.is_file()
