"""The worker process: `python -m agent.store.scrutiny_worker DATA_DIR NOW_MS AGENT VENUE MODE ACCOUNT PAIR`.

It makes itself as harmless as it can (lowest priority, one thread, bounded memory and time), looks once,
prints one JSON document and ends. It opens everything read-only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Final

#: Data of the process, bytes: pandas and a year of one-minute bars fit in a third of it.
MEMORY: Final = 768 * 1024 * 1024
#: Seconds of CPU, and of life: then the system ends it.
CPU_S: Final = 120
LIFE_S: Final = 300


def restrain() -> None:
    """Before anything large is imported."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if sys.platform == "win32":
        return
    import resource

    os.nice(19)
    signal.alarm(LIFE_S)
    for kind, limit in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CPU, CPU_S)):
        _, hard = resource.getrlimit(kind)
        lowest = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lowest, hard))


def main(words: list[str]) -> int:
    restrain()
    from agent.core.money import forbid_float_money
    from agent.store.batch import Scope
    from agent.store.data_dir import DataDir
    from agent.store.reading import Reader
    from agent.store.scrutiny import scrutinize
    from agent.store.trouble import StoreTrouble

    forbid_float_money()
    place = DataDir(Path(words[0]))
    try:
        reader = Reader.open(place.trades_db)
        try:
            findings = scrutinize(reader, place.candles_db, Scope(*words[2:7]), int(words[1]))
        finally:
            reader.close()
    except StoreTrouble as trouble:
        sys.stderr.write(f"{trouble}\n")
        return 1
    json.dump(findings.document(), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
