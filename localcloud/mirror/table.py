"""The parts of the mirror, in the order in which they are built."""

from localcloud.mirror import channel, cran, installer, rstudio
from localcloud.mirror.parts import Part

_PACKAGES = ("conda_package.py", "target.py", "workshop.py")

PARTS = (
    Part(
        "conda",
        channel.build,
        inputs=(
            *_PACKAGES,
            "bytecode.py",
            "channel.py",
            "conda.sh",
            "conda_itself.py",
            "convert.py",
            "debian.py",
            "elf.py",
            "index.py",
            "node.py",
            "npm/*.json",
            "python_package.py",
            "python_patches.py",
            "sdists.txt",
            "wheel_package.py",
            "wheels.py",
            "wheels.txt",
        ),
    ),
    Part("installer", installer.build, inputs=(*_PACKAGES, "installer.py", "installer.sh"), needs=("conda",)),
    Part("cran", cran.build, inputs=("cran.py", "debian.py", "r-packages.txt", "target.py", "workshop.py")),
    Part(
        "rstudio_server",
        rstudio.build,
        inputs=(
            "cran.py",
            "debian.py",
            "rstudio.py",
            "rstudio_server/debian/*",
            "rstudio_server/files/*",
            "rstudio_server/standin/*.py",
            "target.py",
            "workshop.py",
        ),
    ),
)
