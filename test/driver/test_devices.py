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
    asked = device.codec().request(ids[0])
    assert bool(asked) == device.capabilities.schedulable
