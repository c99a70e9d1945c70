"""What compiled code takes is counted once, and told when something is compiled."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.engines.shared.compilation import Account


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    return Account()


def test_kernels_that_call_others_are_counted_once(account: Account) -> None:
    with account.counted(), account.counted(), account.counted():
        pass
    assert account.seconds == 1  # the clock was looked at twice
    with account.counted():
        pass
    assert account.seconds == 2


def test_a_kernel_that_fails_is_counted(account: Account) -> None:
    with pytest.raises(ZeroDivisionError), account.counted():
        raise ZeroDivisionError
    assert account.seconds == 1


def test_whoever_watches_is_told_once_until_the_outermost_kernel_is_there(
    account: Account,
) -> None:
    said: list[str] = []

    @contextmanager
    def around() -> Iterator[None]:
        said.append("begins")
        yield
        said.append("ends")

    with account.watched(around):
        with account.counted():
            with account.counted():
                account.compiling()
            account.compiling()
            assert said == ["begins"]
        assert said == ["begins", "ends"]
        with account.counted():
            pass  # it is loaded
        with account.counted():
            account.compiling()
    with account.counted():
        account.compiling()
    assert said == ["begins", "ends"] * 2


def test_whoever_watches_can_end_it(account: Account) -> None:
    @contextmanager
    def refused() -> Iterator[None]:
        raise InterruptedError
        yield

    with account.watched(refused), pytest.raises(InterruptedError), account.counted():
        account.compiling()
    with account.counted():
        account.compiling()
