"""Write golden results: `python -m tests.golden.write [NAME ...]`, all that are missing or of an older version.

A result that differs under the same version is refused: raise the version first. Where not our code but a library
changed the results, delete the file in tests/golden/results first.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.golden.made import MAKERS
from tests.golden.store import fault, read, write


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in MAKERS]
    refused = [f"{name!r} is no golden result; there are: {', '.join(MAKERS)}" for name in unknown]
    for name in [name for name in names if name in MAKERS] or ([] if names else list(MAKERS)):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["COMPRESSBENCH_CACHE"] = f"{folder}/cache"
            made, stored = MAKERS[name](Path(folder)), read(name)
        if stored is not None and stored[0] == made[0]:
            if found := fault(name, made, stored):
                refused.append(found)
            continue
        write(name, made)
        print(f"{name}: written, version {made[0]}")
    print("\n".join(refused), file=sys.stderr, end="\n" if refused else "")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
