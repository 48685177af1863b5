"""Training that is really stopped and really killed, against training that is left alone.

The file is also the program that the test starts: it imports torch once and forks a process for
every run.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
INTERRUPTED = 130


@pytest.mark.slow
def test_stopped_or_killed_and_resumed_gives_the_undisturbed_weights(tmp_path):
    """SIGINT and SIGTERM save at the end of the step; kill -9 falls back on the last state."""
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for stop in STOPS:
        after_step = 5 if stop == signal.SIGKILL else 6  # of those that were done when it came
        resumed = tmp_path / stop.name
        assert f"{stop.name} continues after step {after_step}\n" in done.stdout
        assert (resumed / "losses").read_text() == (tmp_path / "whole" / "losses").read_text()
        for name in ("training_state.safetensors", "diffusion_pytorch_model.safetensors"):
            a = load_file(tmp_path / "whole" / "done" / name)
            b = load_file(resumed / "done" / name)
            assert a.keys() == b.keys()
            assert all(a[key].equal(b[key]) for key in a), (stop.name, name)


def run(folder: Path, pause: int | None = None, stop: int | None = None) -> None:
    """Train nine steps; wait in the middle of step ``pause`` for the signal ``stop``."""
    import torch

    from crosskrylov.learning.objectives.levels import LevelObjective
    from crosskrylov.learning.schedule import NoiseLevels
    from crosskrylov.learning.training.loop import TrainingOptions, train
    from crosskrylov.learning.unet import build_unet

    class Pausing(LevelObjective):
        calls = -1  # the first is the warm-up

        def loss(self, network, generator):
            loss = super().loss(network, generator)
            self.calls += 1
            if self.calls == pause:
                (folder / "in-mid-step").touch()
                time.sleep(60 if stop == signal.SIGKILL else 2)
            return loss

    images = torch.rand((4, 1, 8, 8), generator=torch.Generator().manual_seed(2)) * 2 - 1
    unet = {"channels": [8, 8], "layers_per_block": 1, "attention_resolution": 0, "norm_groups": 4}
    result = train(
        build_unet(unet, 8, 1, 3),
        Pausing(images, NoiseLevels.linear(50), batch_size=4),
        TrainingOptions(
            budget_seconds=1000,
            max_steps=9,
            first_evaluation=3,
            device="cpu",
            checkpoint_seconds=0.0 if stop == signal.SIGKILL else 1000.0,
        ),
        7,
        lambda _: {"ssim": 0.5},
        checkpoint=folder / "done",
        resume_from=folder / "state",
    )
    (folder / "losses").write_text(str([row["loss"] for row in result.curve]))


def forked(*arguments) -> int:
    """Run in a process of its own; return its number."""
    process = os.fork()
    if process:
        return process
    try:
        run(*arguments)
        os._exit(0)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def main(folder: Path) -> None:
    """Stop three runs in mid-step, resume them, and leave a fourth alone."""
    import torch

    # whatever a run imports late, so that it is imported once
    import crosskrylov.learning.training.loop  # noqa: F401
    from crosskrylov.learning.unet import build_unet
    from crosskrylov.runtime.files import read_json

    torch.set_num_threads(1)
    unet = {"channels": [8], "layers_per_block": 1, "attention_resolution": 0, "norm_groups": 4}
    build_unet(unet, 8, 1, 3)
    for stop in STOPS:
        (folder / stop.name).mkdir()
    stopped = {stop: forked(folder / stop.name, 6, stop) for stop in STOPS}
    for stop, process in stopped.items():
        while not (folder / stop.name / "in-mid-step").exists():
            time.sleep(0.02)
        os.kill(process, stop)
    for stop, process in stopped.items():
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        assert code == (INTERRUPTED if stop == signal.SIGINT else -stop), (stop, code)
        kept = read_json(folder / stop.name / "state" / "training_state.json")
        print(f"{stop.name} continues after step {kept['step']}", flush=True)
    (folder / "whole").mkdir()
    for process in [forked(folder / name) for name in ("whole", *(s.name for s in STOPS))]:
        assert os.waitpid(process, 0)[1] == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
