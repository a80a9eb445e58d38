# SPDX-License-Identifier: Apache-2.0
"""What was measured, as Markdown for people and as data."""

import math


def quantile(values, part):
    """The smallest value that this part of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def p50(values):
    return quantile(values, 0.5)


RACE_HEADS = ["", "min (s)", "p50 (s)", "p95 (s)", "p50 : floor", "p50 : mortise", "peak MiB"]


def medians(answers):
    """p50 of each contender's seconds; `answers` maps names to pairs of seconds and MiB."""
    return {name: p50([seconds for seconds, _ in values]) for name, values in answers.items()}


def fastest_of(middle, peers):
    """The peer with the smallest median, if any was measured."""
    return min((name for name in peers if name in middle), key=middle.get, default=None)


def race_rows(answers, ours="mortise"):
    """A row for each contender, compared with one of ours."""
    middle = medians(answers)
    floor = min(value for name, value in middle.items() if name.startswith("floor"))
    return [[name, min(values)[0], middle[name], quantile([seconds for seconds, _ in values], 0.95),
             middle[name] / floor, middle[name] / middle[ours], max(peak for _, peak in values)]
            for name, values in answers.items()]


class Report:
    def __init__(self):
        self.sections = []
        self.skipped = []

    def table(self, title, heads, rows, note=""):
        self.sections.append({"title": title, "heads": heads, "rows": rows, "note": note})

    def skip(self, what, why):
        print(f"skipped {what}: {why}", flush=True)
        self.skipped.append({"what": what, "why": why})

    def markdown(self):
        parts = [self._table(each) for each in self.sections]
        if self.skipped:
            parts.append("\n".join(["### Skipped", "", *(f"- {each['what']}: {each['why']}" for each in self.skipped)]))
        return "\n\n".join(parts) + "\n"

    @staticmethod
    def _table(section):
        numeric = [all(isinstance(row[at], (int, float)) for row in section["rows"]) for at in range(len(section["heads"]))]
        lines = [f"### {section['title']}", ""]
        if section["note"]:
            lines += [section["note"], ""]
        lines += ["| " + " | ".join(section["heads"]) + " |",
                  "|" + "|".join("---:" if right else "---" for right in numeric) + "|"]
        lines += ["| " + " | ".join(text(cell) for cell in row) + " |" for row in section["rows"]]
        return "\n".join(lines)

    def data(self):
        return {"sections": self.sections, "skipped": self.skipped}


def text(cell):
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else str(cell)
    return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.2f}"
