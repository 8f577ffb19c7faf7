"""`tinyres lab train`: train a network with a student's own kernels in it."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, Suppress

from tinyres.train.recipe import Config, filled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinyres.lab.own import Own, Student
    from tinyres.lab.results import Report, TaskResult
    from tinyres.lab.task import Lab
    from tinyres.train import Result

ROUNDS, SECONDS = 5, 10.0  # of the comparison of steps


@dataclass(frozen=True)
class Train(Config):
    """Train ResNet-20 on handwritten digits with your kernels in it, for just those ops that you have written.

    The public checks come first: kernels that are not written yet are left to the library, wrong ones are refused. All
    settings of `tinyres train` hold.
    """

    lab: Annotated[Path, Positional] = Path(".")
    """The folder of the lab, such as lab03."""
    mine: FlagCreatePairsOff[bool] = False
    """Also what you wrote in earlier labs (the folders beside this one)."""
    anyway: FlagCreatePairsOff[bool] = False
    """Train with kernels that are wrong, to see what a network makes of them."""
    kernels: Suppress[str] = ""
    device: Suppress[Literal["cpu", "cuda"] | None] = None  # that of the kernels
    resume: Suppress[str | None] = None
    compare: Suppress[tuple[str, ...]] = ()
    seeds: Suppress[tuple[int, ...]] = ()

    def run(self) -> int:
        """Check, time a step, train, and say what came out."""
        from tinyres.errors import LabError
        from tinyres.flow.following import following
        from tinyres.lab import earlier, own, progress
        from tinyres.train import fit

        lab, _, home = progress.find(self.lab)
        beside = earlier.files(lab, home) if self.mine else {}
        homes = sorted({path.parent for path in beside.values()}, key=lambda folder: progress.find(folder)[0].id)
        students, before, chosen = list[own.Student](), dict[str, Path](), dict[str, tuple[own.Own, own.Student]]()
        for each in (*homes, home):
            students.append(own.load(each, before))
            chosen |= {kernel.op: (kernel, students[-1]) for kernel in self._usable(students[-1], before)}
            before = before | {module: path for module, path in beside.items() if path.parent == each}
        if not any(student.kernels for student in students):
            raise LabError(f"there is nothing to train with: {own.without_kernels(lab)}.")
        if not chosen:
            raise LabError(f"nothing of {home} is written yet; write a kernel, and `tinyres lab check` looks at it.")
        device = {kernel.device for kernel, _ in chosen.values()}
        if len(device) > 1:
            raise LabError("your labs have kernels of the CPU and of the GPU; train without --mine.")
        names = {field.name: getattr(self, field.name) for field in dataclasses.fields(Config)}
        kernels = dict.fromkeys(chosen, own.NAME)
        config = Config(
            **names | {"device": device.pop(), "kernels": ",".join(f"{op}={n}" for op, n in kernels.items())}
        )
        print(f"{config.model} on {config.data} with your {', '.join(chosen)}; all else is the library's", flush=True)
        result = fit(config, follow=following)
        if result.interrupted:  # `tinyres train --resume` would not know the student's kernels
            print(f"stopped after {result.step} of {result.iterations} steps; the same command begins anew.")
            return 130
        _tell(result, {op: student.calls[op] for op, (_, student) in chosen.items()})
        print(_steps(kernels, result), flush=True)
        print(_next(self.lab, lab))
        return 0

    def _usable(self, student: Student, others: Mapping[str, Path]) -> list[Own]:
        """The kernels that are written and right; LabError at the first wrong one."""
        from tinyres.errors import LabError
        from tinyres.lab import check

        lab, holding = student.lab, {kernel.file for kernel in student.kernels}
        keys = [task.key for task in lab.tasks if task.file in holding and not task.variant]
        if not keys:
            return []
        report = check.check(lab, student.folder, seed=secrets.randbelow(2**31), keys=keys, others=others)
        if report.refused:
            raise LabError(f"{student.folder}: {report.refused}.")
        usable = []
        for kernel in student.kernels:
            results = _deciding(kernel, report, student)
            waiting = [result.key for result in results if any(case.kind == "missing" for case in result.cases)]
            wrong = [result for result in results if result.key not in waiting and _wrong(result)]
            if waiting:
                print(f"{kernel.op}: {', '.join(waiting)} is not written yet; the library's kernel takes its place")
            elif wrong and not self.anyway:
                raise LabError(_refusal(wrong[0]))
            else:
                said = f"wrong ({wrong[0].key}), and used anyway" if wrong else "right in all public checks"
                print(f"{kernel.op}: {kernel.function} of {student.folder.name}/{kernel.file} is {said}")
                usable.append(kernel)
        return usable


def _deciding(kernel: Own, report: Report, student: Student) -> list[TaskResult]:
    """The results on which it hangs whether a kernel is right: its own task's, or else those of its whole file."""
    of = {task.key: task for task in student.lab.tasks}
    there = [result for result in report.tasks if of[result.key].file == kernel.file]
    return [result for result in there if of[result.key].function == kernel.function] or there


def _wrong(result: TaskResult) -> bool:
    return not all(case.passed for case in result.cases)


def _refusal(result: TaskResult) -> str:
    case = next(case for case in result.cases if not case.passed)
    why = case.cause or case.gap or case.problem
    return f"{result.key} is wrong (case {case.name}: {why}); mend it, or see with --anyway what a network makes of it."


def _tell(result: Result, calls: dict[str, int]) -> None:
    """What came out, and that the kernels really ran."""
    last = result.last
    print(
        f"test error {last['test_error']:.2%}, training error {last['train_error']:.2%} after {result.step} steps in "
        f"{last['seconds']:.1f} s: {result.folder}"
    )
    print("your kernels ran: " + ", ".join(f"{op} {count:,} times" for op, count in calls.items()))


def _steps(kernels: dict[str, str], result: Result) -> str:
    """A step with these kernels, with the library's, and with its NumPy kernels, in turns."""
    import numpy as np

    from tinyres.bench.clock import interleaved, ratio
    from tinyres.bench.steps import contender
    from tinyres.kernels import cuda
    from tinyres.train import checkpoint

    config, meta = result.config, checkpoint.find(result.folder).meta
    on_gpu, batch = config.device == "cuda", filled(config.batch)
    if on_gpu and cuda.emulated():
        return "steps are not compared: an emulated GPU has no clock."
    rng = np.random.default_rng(0)
    images = rng.standard_normal((batch, *meta.image_shape), dtype=np.dtype(config.dtype))
    labels = rng.integers(len(meta.classes), size=batch)
    readable = "numba_cuda" if on_gpu else "numpy"
    mode = "eager" if on_gpu else ""
    whom = {"yours": kernels, "default": {}, readable: {"all": readable}}
    steps = [contender(name, config.model, images, labels, k, mode, len(meta.classes)) for name, k in whom.items()]
    times = interleaved(steps, ROUNDS, SECONDS, lambda: None)
    shown = {name: _duration(float(np.median(seconds))) for name, seconds in times.items()}
    return (
        f"a step of {batch} images takes {shown['yours']} with your kernels: "
        f"{ratio(times['yours'], times['default']):.2f} times as long as with the default ones ({shown['default']}), "
        f"{ratio(times['yours'], times[readable]):.2f} times as long as with the library's {readable} kernels "
        f"({shown[readable]})"
    )


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _next(folder: Path, lab: Lab) -> str:
    from tinyres.lab import catalogue

    later = [each.id for each in catalogue.labs() if each.id > lab.id]
    go_on = f"; `tinyres lab start {later[0]}` goes on" if later else ""
    return f"`tinyres bench --mine {folder}` shows each kernel beside the library's{go_on}."
