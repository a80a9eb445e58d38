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


def contest(contenders, rounds, pause=0.0, warm_up=3):
    """All answers of each contender. Every round asks each once, in an order that changes, so that each follows each
    as often: what one leaves to the kernel to clear away is paid by whoever comes next."""
    order = random.Random(1)
    names = list(contenders)
    answers = {name: [] for name in names}
    for at in range(-warm_up, rounds):
        order.shuffle(names)
        for name in names:
            answer = contenders[name].ask()
            if at >= 0:
                answers[name].append(answer)
            if pause:
                time.sleep(pause)
    return answers
