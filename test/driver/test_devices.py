# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A device is one folder, one name in the registry: all the rest follows from its record."""

from __future__ import annotations

from pathlib import Path

import pytest

from locdreamer_ros.config import load_parameters
from locdreamer_ros.driver import devices as module
from locdreamer_ros.driver.device_files import files
from locdreamer_ros.driver.devices import NAMES, all_devices, get_device
from locdreamer_ros.errors import InputError

ROOT = Path(__file__).parents[2]
FOLDERS = {path.parent.name for path in Path(module.__file__).parent.glob("*/__init__.py")}


def test_each_folder_is_registered_under_its_own_name() -> None:
    assert {name.replace("-", "_") for name in NAMES} == FOLDERS
    assert [device.name for device in all_devices()] == list(NAMES)


def test_presets_and_table_are_those_of_the_records() -> None:
    """After a change: python -m locdreamer_ros.driver.device_files."""
    expected = files(ROOT)
    for path, text in expected.items():
        assert path.read_text(encoding="utf-8") == text, path
    presets = set((ROOT / "config" / "driver").iterdir())
    assert presets == {path for path in expected if path.suffix == ".yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_each_has_a_page_and_a_preset_for_any_namespace(name: str) -> None:
    device = get_device(name)
    page = ROOT / "docs" / "devices" / (device.page or f"{name}.md")
    text = page.read_text(encoding="utf-8")
    assert f"`{name}`" in text or f"`device: {name}`" in text
    assert "How to recognise it" in text
    preset = ROOT / "config" / "driver" / f"{name}.yaml"
    assert load_parameters(preset, "a_renamed_node")["device"] == name


@pytest.mark.parametrize("name", NAMES)
def test_the_record_fits_its_codec_and_its_firmware(name: str) -> None:
    device = get_device(name)
    assert device.codec().capabilities == device.capabilities
    ids = device.ids(min(4, device.capabilities.max_anchors))
    device.firmware(ids, lambda _: 1.0)
    assert device.names(ids, "site.csv") == ids
    asked = device.codec().request(ids[0])
    assert bool(asked) == device.capabilities.schedulable


@pytest.mark.parametrize(
    ("name", "labels", "printed"),
    [
        ("decar", ("1", "01", "ID1", "id1"), "1"),
        ("dwm1001", ("6E01", "DW6E01", "dw6E01", "0x6E01", "DECA38E0D3C06E01"), "6E01"),
        ("dwm1001-shell", ("6E01", "0xDECA38E0D3C06E01"), "6E01"),
        ("mauwb", ("0", "A0", "a0", "00"), "0"),
        ("bu0x", ("0", "A0", "00"), "0"),
        ("trek1000", ("0", "a0", "A0"), "A0"),
        ("linktrack", ("39", "A39"), "39"),
        ("uwb650", ("0001", "1", "0x0001", "0000,0001"), "0001"),
        ("dwm3001cdk", ("1", "0x0001"), "0001"),
    ],
)
def test_what_is_on_a_label_is_understood(name: str, labels: tuple[str, ...], printed: str) -> None:
    assert {get_device(name).printed(label) for label in labels} == {printed}


@pytest.mark.parametrize(
    ("name", "impossible"),
    [("decar", "256"), ("linktrack", "40"), ("mauwb", "8"), ("trek1000", "A8"), ("uwb650", "G1")],
)
def test_an_id_that_it_cannot_have_is_none(name: str, impossible: str) -> None:
    """Else it is asked for in silence, and never answers."""
    assert get_device(name).printed(impossible) == ""
    possible = get_device(name).ids(1)[0]
    assert get_device(name).names((possible, impossible), "site.csv") == (possible, "")
    with pytest.raises(InputError, match=r"site.csv: .* none is an id of a"):
        get_device(name).names((impossible,), "site.csv")
