"""Packs a wheel: python3 wheel.py OUT NAME VERSION TAG PROGRAM README. The same content gives the same bytes."""

import base64, hashlib, sys, zipfile

out, name, version, tag, program, readme = sys.argv[1:]
info, data = f"{name}-{version}.dist-info", f"{name}-{version}.data"
LAUNCHER = '''"""Runs the gateway that was installed with this package."""

import os
import sys
import sysconfig


def program():
    beside = os.path.join(os.path.dirname(os.path.dirname(__file__)), "bin")
    for folder in (os.path.dirname(sys.argv[0]), sysconfig.get_path("scripts"), beside):
        path = os.path.join(folder, "gateway-server")
        if os.path.isfile(path):
            return path
    sys.exit("llm-gateway: the program is not installed")


def main():
    path = program()
    os.execv(path, [path, *sys.argv[1:]])
'''
METADATA = f"""Metadata-Version: 2.1
Name: {name.replace("_", "-")}
Version: {version}
Summary: One API for many LLM providers
License: MIT OR Apache-2.0
Requires-Python: >=3.8
Description-Content-Type: text/markdown

"""
WHEEL = "Wheel-Version: 1.0\nGenerator: xtask\nRoot-Is-Purelib: false\n"
files = {
    f"{name}/__init__.py": LAUNCHER.encode(),
    f"{name}/__main__.py": b"from . import main\n\nmain()\n",
    f"{data}/scripts/gateway-server": open(program, "rb").read(),
    f"{info}/METADATA": METADATA.encode() + open(readme, "rb").read(),
    f"{info}/WHEEL": (WHEEL + "".join(f"Tag: py3-none-{it}\n" for it in tag.split("."))).encode(),
    f"{info}/entry_points.txt": f"[console_scripts]\nllm-gateway = {name}:main\n".encode(),
}
record = ""
for path, content in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    record += f"{path},sha256={digest},{len(content)}\n"
files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
    for path, content in files.items():
        entry = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
        entry.create_system = 3
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100755 if "/scripts/" in path else 0o100644) << 16
        wheel.writestr(entry, content)
