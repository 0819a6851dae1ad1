"""A flow of two steps, run on this machine."""

import os
import subprocess
import sys

from metaflow import FlowSpec, step


class DemoFlow(FlowSpec):
    @step
    def start(self):
        self.loss = 0.1
        self.next(self.end)

    @step
    def end(self):
        print(self.loss)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        DemoFlow()
    else:
        environ = {**os.environ, "METAFLOW_USER": "anna"}
        subprocess.run((sys.executable, __file__, "run"), env=environ, check=True)
