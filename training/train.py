"""Trains a network within a fixed time.

The learning rate follows the clock, not a step count, so that training ends cleanly on any machine.
First small crops, then larger ones. What is kept is the running average of the weights. What is learnt from what is
the task's: see tasks.py.

Writes into --out: checkpoint.pt (every minute), recipe.json, train.log.
"""

import argparse
import hashlib
import json
import math
import os
import time
import warnings

import cv2
import torch

from tasks import TASKS

LEARNING_RATE, LAST_LEARNING_RATE = 2e-3, 1e-6
WARM_UP_STEPS = 300
AVERAGE_DECAY = 0.999
CHECKPOINT_SECONDS = 60
SOURCES = ("train.py", "requirements.txt")


def write_recipe(task, options, path):
    here = os.path.dirname(os.path.abspath(__file__))
    digests = {name: hashlib.sha256(open(os.path.join(here, name), "rb").read()).hexdigest()
               for name in task.SOURCES + SOURCES}
    recipe = {
        **task.recipe(), "minutes": options.minutes, "threads": options.threads, "seed": options.seed,
        "scenes": options.scenes, "phases": task.PHASES, "learning_rate": [LEARNING_RATE, LAST_LEARNING_RATE],
        "warm_up_steps": WARM_UP_STEPS, "optimiser": "AdamW, betas 0.9 0.9, weight decay 0, gradient clip 1",
        "average_decay": AVERAGE_DECAY, "sources_sha256": digests,
    }
    with open(path, "w") as file:
        json.dump(recipe, file, indent=1)
        file.write("\n")


def phase_at(phases, progress):
    return next((batch, side) for until, batch, side in phases if progress < until or until == 1.0)


def learning_rate_at(progress, step):
    cosine = 0.5 + 0.5 * math.cos(math.pi * min(progress, 1.0))
    return (LAST_LEARNING_RATE + (LEARNING_RATE - LAST_LEARNING_RATE) * cosine) * min(1.0, (step + 1) / WARM_UP_STEPS)


def traced(network, given):
    """The traced network shares its weights with `network` and is a third faster than eager mode on one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(network, given.contiguous(memory_format=torch.channels_last), check_trace=False)


class Training:
    """Confined to one thread. `elapsed` counts training only, not the drawing of scenes."""

    def __init__(self, task, options):
        self.task, self.options = task, options
        self.budget = options.minutes * 60
        self.network = task.make_network().to(memory_format=torch.channels_last)
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), LEARNING_RATE, betas=(0.9, 0.9),
                                           weight_decay=0, fused=True)
        self.elapsed, self.step = 0.0, 0
        self.path = os.path.join(options.out, "checkpoint.pt")
        if options.resume:
            saved = torch.load(self.path, weights_only=True)
            self.network.load_state_dict(saved["network"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.average, self.elapsed, self.step = saved["average"], saved["elapsed"], saved["step"]
            torch.manual_seed(options.seed + self.step)

    def save(self):
        state = {"arch": self.task.NAME, "network": self.network.state_dict(), "average": self.average,
                 "step": self.step, "optimiser": self.optimiser.state_dict(), "elapsed": self.elapsed}
        torch.save(state, self.path + ".part")
        os.replace(self.path + ".part", self.path)

    def run(self, pool, log):
        forward = {phase[1:]: traced(self.network, self.task.make_batch(pool, *phase[1:])[0])
                   for phase in self.task.PHASES}
        start, saved_at, loss_sum, loss_count = time.monotonic() - self.elapsed, self.elapsed, 0.0, 0
        while (progress := self.elapsed / self.budget) < 1:
            phase = phase_at(self.task.PHASES, progress)
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate_at(progress, self.step)
            loss_sum += self.learn(forward[phase], *self.task.make_batch(pool, *phase))
            loss_count += 1
            self.elapsed = time.monotonic() - start
            if self.elapsed - saved_at >= CHECKPOINT_SECONDS or self.elapsed >= self.budget:
                log(f"{self.elapsed / 60:6.1f} min  step {self.step:6d}  {loss_count / (self.elapsed - saved_at):5.2f} it/s"
                    f"  lr {group['lr']:.2e}  {self.task.figure(loss_sum / loss_count)}")
                self.save()
                saved_at, loss_sum, loss_count = self.elapsed, 0.0, 0

    def learn(self, forward, given, wanted):
        given = given.contiguous(memory_format=torch.channels_last)
        loss = self.task.losses(forward(given), given, wanted, self.elapsed / self.budget).mean()
        if not loss.isfinite():
            raise SystemExit("the loss is not finite: start again with --resume, or with another seed")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        decay = min(AVERAGE_DECAY, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.network.state_dict().values()), 1 - decay)
        self.step += 1
        return loss.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=TASKS, default="student-tiny")
    parser.add_argument("--minutes", type=float, default=62)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenes", type=int, help="how many scenes to draw")
    parser.add_argument("--out", required=True, help="folder for the checkpoint, the recipe and the log")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    options = parser.parse_args()
    task = TASKS[options.network]
    options.scenes = options.scenes or task.SCENES

    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    os.makedirs(options.out, exist_ok=True)
    write_recipe(task, options, os.path.join(options.out, "recipe.json"))
    with open(os.path.join(options.out, "train.log"), "a" if options.resume else "w") as file:
        def log(line):
            print(line, file=file, flush=True)

        before = time.monotonic()
        pool = task.make_pool(options.seed, options.scenes)
        log(f"{options.scenes} scenes drawn in {time.monotonic() - before:.0f} s")
        Training(task, options).run(pool, log)


if __name__ == "__main__":
    main()
