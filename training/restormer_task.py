"""Small Restormers that learn what "student-tiny" learns. Not shipped: a start for one's own."""

import denoise_task
from restormer_network import EXPANSION, HEADS, Restormer

DIM, COUNTS, REFINEMENT = 16, (1, 1, 1, 1), 1


class RestormerTask:
    """One of the two kinds of attention; everything but the network is the denoiser's."""

    PHASES = ((0.60, 8, 64), (1.00, 2, 128))  # multiples of 64, as windows need
    SCENES = denoise_task.SCENES
    SOURCES = ("restormer_network.py", "restormer_task.py", *denoise_task.SOURCES)

    make_pool = staticmethod(denoise_task.make_pool)
    make_batch = staticmethod(denoise_task.make_batch)
    losses = staticmethod(denoise_task.losses)
    figure = staticmethod(denoise_task.figure)
    golden = staticmethod(denoise_task.golden)
    answer = staticmethod(denoise_task.answer)

    def __init__(self, kind):
        self.kind = kind
        self.NAME = f"restormer-{DIM}" + ("-window" if kind == "window" else "")

    def make_network(self):
        return Restormer(DIM, COUNTS, REFINEMENT, self.kind)

    def recipe(self):
        return {**denoise_task.recipe(), "network": {
            "arch": "restormer", "dim": DIM, "blocks": COUNTS, "refinement": REFINEMENT, "heads": HEADS,
            "expansion": EXPANSION, "attention": self.kind}}

    def metadata(self, network):
        """What the daemon wants to know of the weights; it reads the rest from the shapes."""
        return {"arch": "restormer", "task": "denoise", "scale": "1"}
