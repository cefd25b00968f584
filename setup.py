# Copyright 2026 The locdreamer_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Builds what is compiled with CMake and packs it into the wheel; metadata is in setup.cfg.

With pip, a virtual environment that holds the ROS wheels is itself a ROS prefix (`lib/`, `share/`),
so what `cmake --install` stages goes to the same places of the wheel. Where the ROS build packages
are missing (no wheels for the machine, or LOCDREAMER_NO_ROS=1), only the ROS-free core is packed,
with the zero-shot tracker's step compiled (src/) where there is a C++ compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
NAME = "locdreamer_ros"
INDEX = "share/ament_index/resource_index"
# What the wheel takes of a ROS prefix: what is used at run time. The rest (CMake exports, headers,
# shell hooks) would name directories of the machine that built the wheel.
DATA_PATTERNS = (
    "lib/*.so",
    f"lib/{NAME}/*",
    f"{INDEX}/packages/*",
    f"{INDEX}/package_run_dependencies/*",
    f"{INDEX}/rosidl_interfaces/*",
    "share/*/package.xml",
    "share/*/msg/*",
    f"share/{NAME}/config/**/*",
    f"share/{NAME}/launch/**/*",
)


@cache
def ros_prefix() -> Path | None:
    """Return the ROS prefix to build against, or None where the messages are not to be built."""
    if os.environ.get("LOCDREAMER_NO_ROS", "0") not in ("", "0"):
        print("LOCDREAMER_NO_ROS is set: packing the ROS-free core only", file=sys.stderr)
        return None
    ament = find_spec("ament_package")
    if ament is None or ament.origin is None or find_spec("rosidl_generator_py") is None:
        print("no ROS build packages here: packing the ROS-free core only", file=sys.stderr)
        return None
    return Path(ament.origin).parents[4]  # prefix/lib/pythonX.Y/site-packages/ament_package/


def compile_and_stage(prefix: Path, build: Path, stage: Path) -> None:
    """Compile the messages against `prefix` and install everything below `stage`."""
    environment = dict(os.environ)
    for variable in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH"):
        environment[variable] = str(prefix)
    sources = [ROOT]
    if find_spec("tf2_msgs") is None:  # on no registry, and TF needs it
        sources.append(ROOT / "cmake" / "tf2_msgs")
    for source in sources:
        configure = [
            "cmake",
            *("-S", str(source), "-B", str(build / source.name)),
            f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'cmake' / 'wheel_prefix.cmake'}",
            f"-DCMAKE_INSTALL_PREFIX={stage}",
            f"-DPython3_EXECUTABLE={sys.executable}",
            "-DCMAKE_BUILD_TYPE=Release",
            "-DBUILD_TESTING=OFF",
            *(("-G", "Ninja") if shutil.which("ninja") else ()),
        ]
        compile_ = ["cmake", "--build", str(build / source.name), "--parallel"]
        install = ["cmake", "--install", str(build / source.name)]
        for command in (configure, compile_, install):
            subprocess.run(command, check=True, env=environment)


def stage_without_messages(stage: Path) -> None:
    """Install below `stage` what does not need the ROS build packages."""
    share = stage / "share" / NAME
    for folder in ("config", "launch", "msg"):
        shutil.copytree(ROOT / folder, share / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "package.xml", share)
    (stage / INDEX / "packages").mkdir(parents=True)
    shutil.copy(ROOT / "resource" / NAME, stage / INDEX / "packages")


class BuildWithMessages(build_py):
    """Adds the compiled messages and the prefix's shared files to the wheel."""

    def run(self) -> None:
        """Run the command."""
        # pip builds in the tree: a module gone from the sources must not stay in the wheel.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if self.editable_mode:
            print("editable install: the source tree only, no messages", file=sys.stderr)
            return
        # Outlives this command, because the wheel's data files are copied from it later.
        stage = ROOT / self.get_finalized_command("build").build_temp / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        prefix = ros_prefix()
        if prefix is None:
            stage_without_messages(stage)
        else:
            # Not kept between builds: pip's build environment has a new place every time, and
            # CMake's cache would name the old one.
            with tempfile.TemporaryDirectory() as build:
                compile_and_stage(prefix, Path(build), stage)
        self.pack(stage)

    def pack(self, stage: Path) -> None:
        """Split what was staged into Python packages and data files of the wheel."""
        for package in stage.glob("lib/python*/site-packages/*"):
            if package.suffix != ".egg-info":  # the wheel brings its own metadata
                shutil.copytree(
                    package,
                    Path(self.build_lib) / package.name,
                    ignore=shutil.ignore_patterns("__pycache__", "*.c"),
                    dirs_exist_ok=True,
                )
        for pattern in DATA_PATTERNS:
            for path in filter(Path.is_file, sorted(stage.glob(pattern))):
                folder = str(path.parent.relative_to(stage))
                self.distribution.data_files.append((folder, [os.path.relpath(path, ROOT)]))


class WithMessages(Distribution):
    """Compiled code makes the wheel belong to one Python version and platform."""

    def has_ext_modules(self) -> bool:
        """Say whether the wheel holds compiled code."""
        return ros_prefix() is not None or super().has_ext_modules()


def compiled_step() -> list[Extension]:
    """The same extension as in CMakeLists.txt, where CMake does not build it.

    Nothing where there is no C++ compiler: numpy then answers.
    """
    if ros_prefix() is not None:
        return []
    compiler = os.environ.get("CXX", "c++").split()[0]
    if shutil.which(compiler) is None:
        print(f"no C++ compiler ({compiler}): numpy alone will answer", file=sys.stderr)
        return []
    options = ["-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
    return [
        Extension(
            f"{NAME}._compiled",
            ["src/compiled.cpp"],
            depends=sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("src/*.hpp")),
            extra_compile_args=options,
            language="c++",
            optional=True,  # a compiler without Python's headers: numpy alone too
        )
    ]


setup(
    cmdclass={"build_py": BuildWithMessages},
    distclass=WithMessages,
    ext_modules=compiled_step(),
    data_files=[],
)
