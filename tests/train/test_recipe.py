"""Settings: recipes, nonsense, and the way through JSON and the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinyres.errors import ConfigError
from tinyres.optim.schedules import Constant, Cosine, LinearWarmup, MultiStep, PaperWarmup, Plateau
from tinyres.train.recipe import Config, resolve, schedule_of


def test_digits_recipe() -> None:
    config = resolve(Config(), 1437)
    assert (config.epochs, config.iterations, config.batch, config.lr) == (20, 460, 64, 0.1)
    assert (config.milestones, config.augment, config.validation) == ((345,), False, 0.0)
    assert (config.evaluate_every, config.checkpoint_every, config.warmup) == (23, 23, "none")


@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_cifar_recipe_is_the_papers(data: str) -> None:
    config = resolve(Config(data=data), 45_000)
    assert (config.iterations, config.batch, config.lr, config.milestones) == (64_000, 128, 0.1, (32_000, 48_000))
    assert (config.augment, config.validation, config.weight_decay, config.momentum) == (True, 0.1, 1e-4, 0.9)
    assert config.epochs == 182


@pytest.mark.parametrize(
    ("model", "warmup"), [("resnet56", "none"), ("resnet110", "paper"), ("plain110", "paper"), ("resnet1202", "paper")]
)
def test_warmup_of_deep_nets(model: str, warmup: str) -> None:
    assert resolve(Config(model=model), 1437).warmup == warmup
    assert resolve(Config(model=model, warmup="none"), 1437).warmup == "none"


def test_a_short_run_scales_the_milestones() -> None:
    assert resolve(Config(data="cifar10", epochs=10), 45_000).milestones == (1760, 2640)
    assert resolve(Config(milestones=(0.5, 400)), 1437).milestones == (230, 400)


def test_resolving_twice_changes_nothing() -> None:
    for config in (Config(), Config(data="cifar10", iterations=300), Config(epochs=3, batch=50)):
        once = resolve(config, 1437)
        assert resolve(once, 1437) == once


def test_a_small_set_gets_a_smaller_batch_unless_one_was_asked_for() -> None:
    assert resolve(Config(), 10).batch == 10
    with pytest.raises(ConfigError, match="batch 64 is larger than the 10 training images"):
        resolve(Config(batch=64), 10)


def test_epochs_and_iterations_that_contradict() -> None:
    with pytest.raises(ConfigError, match="20 epochs and 3 iterations contradict"):
        resolve(Config(epochs=20, iterations=3), 1437)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"epochs": 0}, "epochs is 0 and must be at least 1"),
        ({"lr": -1.0}, "lr is -1.0 and must be a positive number"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"lr": "fast"}, "lr is 'fast' and must be float or left out"),
        ({"batch": 2.5}, "batch is 2.5 and must be int"),
        ({"momentum": 1.0}, "momentum is 1.0 and must be at least 0 and below 1"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov is True and must be used with a momentum above 0"),
        ({"validation": 1.0}, "validation is 1.0"),
        ({"milestones": (0.5, -2.0)}, "milestones"),
        ({"schedule": "cosin"}, "schedule 'cosin' is unknown; did you mean 'cosine'"),
        ({"warmup": "papers"}, "did you mean 'paper'"),
        ({"dtype": "float16"}, "dtype 'float16' is unknown"),
        ({"device": "gpu"}, "device 'gpu' is unknown; did you mean 'cpu'"),
        ({"precision": "tf23"}, "precision 'tf23' is unknown; did you mean 'tf32'"),
        ({"name": "a/b"}, "name is 'a/b' and must be a single folder name"),
        ({"seeds": (1, 2)}, "seeds belong to --compare"),
        ({"seed": -1}, "seed is -1"),
        ({"augment": 1}, "augment is 1 and must be bool"),
    ],
)
def test_nonsense_is_one_sentence(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config(**wrong).check()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_through_json() -> None:
    config = resolve(Config(milestones=(0.5,), compare=("plain20", "resnet20"), seeds=(0, 1)), 1437)
    assert Config(**json.loads(json.dumps(config.to_json()))) == config


def test_on_the_command_line() -> None:
    import tyro

    line = "--model plain56 --epochs 12 --milestones 0.5 0.75 --augment True --nesterov --compare a b --seeds 0 1"
    config = tyro.cli(Config, args=line.split())
    assert config == Config(
        model="plain56",
        epochs=12,
        milestones=(0.5, 0.75),
        augment=True,
        nesterov=True,
        compare=("a", "b"),
        seeds=(0, 1),
    )


def test_every_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    import tyro

    with pytest.raises(SystemExit):
        tyro.cli(Config, args=["--help"])
    told = capsys.readouterr().out
    assert "held out to select a checkpoint" in " ".join(told.replace("│", " ").split())


def test_schedules() -> None:
    def made(**changes: Any) -> Any:
        return schedule_of(resolve(Config(**changes), 1437))

    assert isinstance(made(), MultiStep)
    assert isinstance(made(schedule="plateau"), Plateau)
    assert isinstance(made(schedule="constant"), Constant)
    assert isinstance(made(warmup="paper"), PaperWarmup)
    linear = made(schedule="cosine", warmup="linear", warmup_iterations=60)
    assert isinstance(linear, LinearWarmup)
    assert isinstance(linear.inner, Cosine)
    assert linear.lr(29) == pytest.approx(0.05)
    assert linear.lr(260) == pytest.approx(0.05)
    assert linear.lr(459) < 1e-5
