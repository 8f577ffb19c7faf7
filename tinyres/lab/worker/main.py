"""What the worker runs: `python -I main.py PACKAGES REQUEST ANSWER STACK CONTROL REPORT`.

A folder of packages, and the numbers of five pipes.

This file and its neighbours import each other by their full names, as everywhere in tinyres, but tinyres itself is
never loaded here: the first thing that happens is that empty packages of those names are put in its place. So a worker
starts in the time that NumPy needs, and a submission finds no library in its process.
"""

from __future__ import annotations

import os
import sys
import types


def own_packages(here: str) -> None:
    """Stand-ins for the packages above this file, so that its neighbours can be imported without `tinyres` itself."""
    for name, folder in (("tinyres", ""), ("tinyres.lab", os.path.dirname(here)), ("tinyres.lab.worker", here)):
        package = types.ModuleType(name)
        package.__path__ = [folder] if folder else []
        sys.modules[name] = package


def main(request: int, answer: int, stack: int, control: int, report: int) -> None:
    """Be the guard, and in the process below it the worker."""
    own_packages(os.path.dirname(os.path.abspath(__file__)))
    from tinyres.lab.worker import guard

    worker, woken = guard.start()
    if worker:
        for fd in (request, answer, stack, 1, 2):
            os.close(fd)
        guard.watch(worker, woken, control, report)
        os._exit(0)
    os.close(control)
    os.close(report)
    from tinyres.lab.worker import serve

    for name in [name for name in sys.modules if name.split(".")[0] == "tinyres"]:
        del sys.modules[name]
    sys.dont_write_bytecode = True  # from here on nothing is written outside the scratch folder
    serve.serve(request, answer, stack)


if __name__ == "__main__":
    if sys.argv[1] not in sys.path:
        sys.path.append(sys.argv[1])
    main(*(int(number) for number in sys.argv[2:]))
