"""Which core a worker keeps to."""

import pytest

from session_service.server.cores import choose_core


@pytest.mark.parametrize(
    ("taken", "processes", "core"),
    [
        ([], 2, 4),
        ([4], 2, 6),
        ([6], 2, 4),
        ([4, 6], 2, 4),
        ([4, 6, 4], 3, 6),
        ([None, 6], 2, 4),
        ([], 1, None),
        ([4], 1, None),
    ],
)
def test_a_core_is_chosen_that_the_fewest_keep_to(taken: list[int | None], processes: int, core: int | None) -> None:
    assert choose_core({6, 4}, taken, processes) == core
