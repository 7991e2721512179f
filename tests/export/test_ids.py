import sys

from hypothesis import given
from hypothesis import strategies as st

from toggl_async.export.mirror import ids
from toggl_async.export.mirror.ids import IdSet


@given(numbers=st.lists(st.integers(min_value=0, max_value=2**63 - 1)), again=st.lists(st.integers(0, 9)))
def test_it_is_a_set(numbers: list[int], again: list[int]) -> None:
    known: set[int] = set()
    compact = IdSet()
    for number in [*numbers, *again, *numbers]:
        assert compact.add(number) is (number not in known)
        known.add(number)
        assert number in compact
    assert len(compact) == len(known)


def test_full_runs_stay_known_and_small() -> None:
    compact = IdSet()
    count = 5 * ids._RUN + 7
    # Interleaved, as ranges that are read at once bring them.
    for number in range(count):
        assert compact.add(10_000_000_000 + number * 7919 % count)
    assert len(compact) == count
    assert not compact.add(10_000_000_000)
    assert 9_999_999_999 not in compact
    assert sum(map(sys.getsizeof, compact._runs)) < 9 * count
