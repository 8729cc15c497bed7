"""The networks that can be trained here. A task is a module or an object; `denoise_task.py` is the shortest one to read.

It has, for train.py: NAME, PHASES, SCENES, SOURCES, make_network, make_pool, make_batch, losses, figure, recipe;
and for export.py: metadata, golden, answer.
"""

import denoise_task
import rgbd_task
from restormer_task import RestormerTask

TASKS = {task.NAME: task for task in (denoise_task, rgbd_task, RestormerTask("channel"), RestormerTask("window"))}
