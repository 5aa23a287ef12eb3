"""The one platform that the mirror's packages are for, as each packaging world spells it."""

#: CPython's minor version; the machines' Python comes from Debian 12, so wheels and packages follow it.
PYTHON = "3.11"
PYTHON_FULL = "3.11.2"
ABI = "cp311"
SUBDIR = "linux-64"
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"

#: Debian 12's C library. It runs wheels up to manylinux_2_36; older tags are what projects publish.
GLIBC = "2.36"
WHEEL_PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
)

#: What wheels' environment markers are evaluated against (PEP 508).
MARKERS = {
    "implementation_name": "cpython",
    "implementation_version": PYTHON_FULL,
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": PYTHON_FULL,
    "python_version": PYTHON,
    "sys_platform": "linux",
}

#: Time of every file in every package (2026-01-01, UTC seconds): two builds are the same bytes.
EPOCH = 1767225600

#: Stands in package files for the environment's folder; conda writes the real one when it links them.
#: Long, because in binary files the real path has to fit into its place.
PLACEHOLDER = "/opt/" + "_".join(["placehold"] * 24)
