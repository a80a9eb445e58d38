# SPDX-License-Identifier: Apache-2.0
"""Several programs measured in turn, so that what disturbs the machine disturbs them all."""

import contextlib
import random
import subprocess
import time

from place import Missing


class Worker:
    """A program that answers each line on its standard input with a line of numbers."""

    def __init__(self, name, command, cwd=None):
        self.name = name
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, cwd=cwd)

    def ask(self, line="run"):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Missing(f"{self.name} ended with exit code {self.process.wait()}")
        return [float(word) for word in answer.split()]

    def close(self):
        """Ends it by the end of its input, so that it clears away what it holds."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


@contextlib.contextmanager
def workers(commands):
    """Starts a worker for each name; `commands` maps names to command lines."""
    started = []
    try:
        for name, command in commands.items():
            started.append(Worker(name, command))
        yield {each.name: each for each in started}
    finally:
        for each in started:
            each.close()


def race(programs, title, contenders, rounds, around):
    """Seconds and peak MiB of each contender's runs, a process each, in turn; `contenders` maps names to command lines.
    `around(name)` is entered for each run; it may yield what asks for the peak KiB of a process that ran beside."""
    order = random.Random(1)
    answers = {name: [] for name in contenders}
    print(title, flush=True)
    with workers({name: [programs["spawn"], *command] for name, command in contenders.items()}) as running:
        for at in range(rounds + 1):
            names = list(contenders)
            order.shuffle(names)
            for name in names:
                with around(name) as peak_beside:
                    nanoseconds, peak, status = running[name].ask()
                    peak += peak_beside() if peak_beside else 0
                if status != 0:
                    raise Missing(f"{name} failed: {title}")
                if at > 0:
                    answers[name].append((nanoseconds / 1e9, peak / 1024))
    return answers


def contest(contenders, rounds, pause=0.0, warm_up=3, before=None):
    """All answers of each contender. Every round asks each once, in an order that changes, so that each follows each
    as often: what one leaves to the kernel to clear away is paid by whoever comes next. `before()` precedes each."""
    order = random.Random(1)
    names = list(contenders)
    answers = {name: [] for name in names}
    for at in range(-warm_up, rounds):
        order.shuffle(names)
        for name in names:
            if before:
                before()
            answer = contenders[name].ask()
            if at >= 0:
                answers[name].append(answer)
            if pause:
                time.sleep(pause)
    return answers
