"""Settings that pyproject.toml cannot express: a package with the library is for one platform and every Python 3.

Without the library (as in the source package) it is for all platforms, and uses the system's. BERTH_WHEEL_PLATFORM names
the platform; ./package works it out.
"""

import os
from pathlib import Path

from setuptools import Distribution, setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    # Before setuptools 70.1.
    from wheel.bdist_wheel import bdist_wheel

CARRIES_LIBRARY = Path(__file__).resolve().with_name("berth").joinpath("libberth.so.0").exists()


class WithLibrary(Distribution):
    def has_ext_modules(self):
        return CARRIES_LIBRARY


class Wheel(bdist_wheel):
    def get_tag(self):
        # Nothing of it is compiled against one Python.
        return ("py3", "none", os.environ["BERTH_WHEEL_PLATFORM"]) if CARRIES_LIBRARY else super().get_tag()


setup(distclass=WithLibrary, cmdclass={"bdist_wheel": Wheel})
