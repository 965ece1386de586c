"""A block that a generator or coroutine has entered holds while that runs, not while it is paused."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc

import pytest
from chainrule.graph import modes as inside
from mode_cases import MODES, none_is_on


@pytest.fixture(params=MODES)
def mode(request):
    yield MODES[request.param]
    assert none_is_on()


class TestPausedGenerators:
    def test_keep_the_mode_to_themselves(self, mode):
        block, on = mode

        def numbers():
            with block():
                yield on()
                yield on()
            yield not on()

        stream = numbers()
        for found in stream:
            assert found and not on()

    def test_and_the_mode_of_who_uses_them(self, mode):
        block, on = mode

        def numbers():
            yield on()
            yield on()

        stream = numbers()
        assert not next(stream)
        with block():
            assert next(stream)

    def test_left_half_way(self, mode):
        block, on = mode

        def numbers():
            with block():
                yield 1
                yield 2

        streams = [numbers() for _ in range(3)]
        for stream in streams:
            next(stream)
        streams[1].close()
        with block():
            del streams
            gc.collect()
            assert on()
        assert not on()

    def test_that_overlap_leave_no_trace(self, mode):
        """A pipeline whose next generator begins before the last one ends keeps no chain of old blocks."""
        block, on = mode

        def numbers():
            with block():
                yield on()

        last = numbers()
        assert next(last)
        for _ in range(50):
            following = numbers()
            assert next(following) and not on()
            assert list(last) == []
            last = following
        length, found = 0, inside._innermost.get()
        while found is not None:
            length, found = length + 1, found.outer
        assert length <= 2
        last.close()

    def test_nested_by_yield_from_and_by_for(self, mode):
        block, on = mode

        def inner():
            yield on()
            with block():
                yield on()

        def outer():
            yield from inner()
            with block():
                yield from inner()
            for found in inner():
                yield found, on()

        stream = outer()
        found = []
        for item in stream:
            assert not on()
            found.append(item)
        assert found == [False, True, True, True, (False, False), (True, False)]

    def test_asynchronous_ones(self, mode):
        block, on = mode

        async def numbers():
            with block():
                for _ in range(3):
                    await asyncio.sleep(0)
                    yield on()

        async def child():
            return on()

        async def main():
            async for found in numbers():
                assert found and not on()
                assert not await asyncio.create_task(child())

        asyncio.run(main())

    def test_coroutines_driven_by_hand(self, mode):
        block, on = mode

        class Pause:
            def __await__(self):
                yield

        async def steps():
            with block():
                await Pause()
                assert on()

        running = steps()
        running.send(None)
        assert not on()
        with pytest.raises(StopIteration):
            running.send(None)

    def test_context_managers_made_of_them_serve_their_caller(self, mode):
        block, on = mode

        @contextlib.contextmanager
        def quiet():
            with block():
                yield

        @contextlib.contextmanager
        def twice():
            with quiet(), quiet():
                yield

        class Own:
            def __enter__(self):
                self.block = block()
                self.block.__enter__()

            def __exit__(self, *error):
                self.block.__exit__(*error)

        @contextlib.asynccontextmanager
        async def later():
            with block():
                yield

        class Stacked(contextlib.ExitStack):
            def __enter__(self):
                self.enter_context(block())
                return super().__enter__()

        for manager in (quiet, twice, Own, Stacked):
            with manager():
                assert on()
            assert not on()

            def numbers(manager=manager):
                with manager():
                    yield on()

            for found in numbers():
                assert found and not on()

        async def main():
            async with later():
                assert on()
                await asyncio.sleep(0)
                assert on()
            assert not on()

        asyncio.run(main())

    def test_that_another_thread_or_task_goes_on_with(self, mode):
        block, on = mode

        def numbers():
            with block():
                yield on()
                yield on()
                yield on()
            yield not on()

        async def main():
            asynchronous = later()
            return [await asyncio.create_task(anext(asynchronous)) for _ in range(4)]

        async def later():
            for found in numbers():
                await asyncio.sleep(0)
                yield found

        stream = numbers()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for run in (
                next,
                lambda s: pool.submit(next, s).result(),
                lambda s: contextvars.Context().run(next, s),
                next,
            ):
                assert run(stream) and not on()
        stream = numbers()
        assert asyncio.run(self.steps(stream)) == [True] * 4
        assert asyncio.run(main()) == [True] * 4

    @staticmethod
    async def steps(stream):
        return [await asyncio.to_thread(next, stream) for _ in range(4)]
