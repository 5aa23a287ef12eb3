"""Make an index of pip with one package in it, in the folder that is named."""

import sys
import zipfile
from pathlib import Path

folder = Path(sys.argv[1], "company")
folder.mkdir(parents=True)
info = "company-1.0.dist-info"
with zipfile.ZipFile(folder / "company-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("company.py", "answer = 42\n")
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: company\nVersion: 1.0\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "")
(folder / "index.html").write_text('<a href="company-1.0-py3-none-any.whl">company-1.0-py3-none-any.whl</a>')
