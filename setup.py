"""Package metadata of Reelbeam. Tool settings are in pyproject.toml."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "reelbeam/pipeline/__init__.py").read_text("utf-8")).group(1)

setup(
    name="reelbeam",
    version=VERSION,
    description="Puts MoViNet action labels on a whole corpus of videos, with Apache Beam.",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11.4,<3.14",
    packages=find_packages(include=["reelbeam", "reelbeam.*"]),  # follows the links to pipeline/ and transforms/
    package_data={
        "reelbeam": ["py.typed"],
        "reelbeam.pipeline.costs": ["costs.json"],
        "reelbeam.pipeline.demo": ["videos/*"],
        "reelbeam.pipeline.doctor": ["reference.json"],
        "reelbeam.pipeline.reports.page": ["templates/*", "style/*", "script.js"],
        "reelbeam.transforms.models.registry": ["labels/*.txt", "demo/*", "demo/variables/*"],
    },
    install_requires=[
        "apache-beam==2.77.*",
        "tensorflow==2.21.*",
        "tensorflow-hub==0.16.*",
        "tf-keras==2.21.*",  # tensorflow-hub imports it; its version follows TensorFlow's
        "setuptools<81",  # tensorflow-hub imports pkg_resources, which later versions no longer have
        "openvino==2026.*",
        "av>=18,<19",
        "pyarrow",
        "numpy",
        "protobuf",
        "rich",
        "tqdm",  # the progress of reelbeam.label: a widget in notebooks
        "packaging",
        "jinja2",
        "pillow",
        "scipy",
        "scikit-learn",
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]==2.77.*"],
        "aws": ["apache-beam[aws]==2.77.*"],
        "bench": ["ai-edge-litert", "decord", "opencv-python-headless", "imageio-ffmpeg"],
        "spark": ["pyspark"],  # for a test of the views: 500 MB, and it needs java
        "dev": [
            "pytest",
            "pytest-timeout",
            "pytest-xdist",  # the suite runs on all cores
            "ruff",
            "mypy",
            "duckdb",
            "pandas<2.3",  # the versions that Beam's DataFrames support
            "imageio-ffmpeg",
            "ai-edge-litert",  # a test runs a published TFLite model
            "jsonschema",
            "pyyaml",
            "apache-beam[aws]==2.77.*",
            "moto[s3]",  # an S3 server on loopback, with the next two
            "flask",
            "flask-cors",
            "apache-beam[gcp]==2.77.*",  # tests look at the job that Dataflow would get
            "sqlglot",
            "ipykernel",  # tests run notebooks, with the next two
            "ipywidgets",
            "nbclient",
            "playwright",  # drives Debian's Chromium
        ],
    },
    entry_points={"console_scripts": ["reelbeam = reelbeam.pipeline.cli:entry_point"]},
)
