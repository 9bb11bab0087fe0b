"""Episodes of an agent without exploration, as training measures them and keeps them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from adrgd.rl.environments import make_env, play
from adrgd.runs import Run

EVALUATIONS = "evaluations.parquet"
EVALUATION = 0xE7A1  # keeps the starts of evaluations apart from whatever else has the same seed


def evaluate(policy: Any, env: str, episodes: int, seed: int, limit: int | None = None) -> list[dict[str, Any]]:
    """Episodes of a policy without exploration, from the same starts for every policy; one record each.

    Args:
        limit: as in `play_all`.
    """
    made = make_env(env)
    starts = np.random.SeedSequence([seed, EVALUATION]).generate_state(episodes) % 2**31
    played = [
        play(made, lambda seen: policy.predict(seen, deterministic=True)[0], int(start), limit=limit)
        for start in starts
    ]
    made.close()
    return [{"episode": k, **asdict(episode)} for k, episode in enumerate(played)]


def write_evaluations(folder: Run, rows: list[dict[str, Any]]) -> None:
    """Write the records of all evaluations so far.

    Raises:
        RunFolderError: they cannot be written.
    """
    with folder.write(EVALUATIONS) as stream:
        pq.write_table(pa.Table.from_pylist(rows), stream)
