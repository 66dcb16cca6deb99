#!/usr/bin/env python3
"""What REDbot says of `nethttp serve`: it asks for each kind of answer, and for it again with
conditions, ranges and codings, and knows what is wrong with what comes.

    tests/peers/redbot.py target/debug/nethttp

Takes `redbot` from the PATH, or from REDBOT (`pip install redbot` in an environment of its own brings
it). Fails on a bad note, and on a warning that is not listed here with its reason.
"""

import gzip
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

# Warnings that are as they should be.
ACCEPTED = {
    "FRESHNESS_HEURISTIC": "how long a file is fresh is for its owner to say: --header 'Cache-Control: …'",
}
PAGE = "<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><title>A page</title>\n" + "<p>Some text.\n" * 200
SCRIPT = "".join(f"console.log({number});\n" for number in range(300))
# Asked for, and the status that is expected.
TARGETS = [
    ("page.html", 200),
    ("style.css", 200),
    ("image.png", 200),
    ("script.js", 200),
    ("plain", 200),
    ("", 200),
    ("folder", 301),
    ("folder/", 200),
    ("page.html/", 301),
    ("missing", 404),
]


def main():
    redbot = os.environ.get("REDBOT") or shutil.which("redbot")
    if not redbot:
        print("LEFT OUT: REDbot is not on this machine")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        fill(pathlib.Path(folder))
        command = [sys.argv[1], "serve", folder, "--addr", "127.0.0.1:0", "--compress", "--access-log", "none"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            try:
                url = server.stdout.readline().rpartition(" on ")[2].strip()
                wrong = [line for target in TARGETS for line in faults(redbot, url, *target)]
            finally:
                server.terminate()
    print("\n".join(wrong) or f"{len(TARGETS)} answers, nothing wrong with them")
    return 1 if wrong else 0


def fill(folder):
    (folder / "page.html").write_text(PAGE)
    (folder / "style.css").write_text("p { margin: 0 }\n" * 200)
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(5000))
    (folder / "script.js").write_text(SCRIPT)
    (folder / "script.js.gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / "plain").write_text("No extension tells what this is.\n" * 100)
    (folder / "folder").mkdir()
    # What was changed just now has a weak tag.
    yesterday = time.time() - 86400
    for path in folder.iterdir():
        os.utime(path, (yesterday, yesterday))


def faults(redbot, url, target, status):
    """What is wrong with one answer, a line each."""
    said = subprocess.run([redbot, "-o", "har", url + target], capture_output=True, text=True, timeout=120)
    if said.returncode:
        return [f"/{target}: redbot failed: {said.stderr.strip()}"]
    entry = json.loads(said.stdout)["log"]["entries"][0]
    lines = []
    if entry["response"]["status"] != status:
        lines.append(f"/{target}: {entry['response']['status']}, and not {status}")
    for note in entry["_red_messages"]:
        is_wrong = note["level"] == "BAD" or note["level"] == "WARN" and note["note_id"] not in ACCEPTED
        if is_wrong:
            lines.append(f"/{target}: {note['level']}: {note['note_id']}: {note['summary']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
