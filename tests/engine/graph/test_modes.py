"""no_grad and strict hold inside their block and nowhere else: tasks, threads, decorators, one object used twice."""

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading

import chainrule as cr
import pytest
from chainrule import Var
from chainrule.graph import modes as inside
from mode_cases import MODES, none_is_on, recorded, searched


@pytest.fixture(params=MODES)
def mode(request):
    yield MODES[request.param]
    assert none_is_on()


class TestTasks:
    def test_of_asyncio_do_not_meet(self, mode):
        block, on = mode
        found = []

        async def one():
            with block():
                for _ in range(5):
                    found.append(on())
                    await asyncio.sleep(0)

        async def other():
            for _ in range(5):
                found.append(not on())
                await asyncio.sleep(0)

        async def both():
            await asyncio.gather(one(), other(), one(), other())

        asyncio.run(both())
        assert len(found) == 20 and all(found)

    def test_made_inside_a_block_are_inside_until_it_ends(self, mode):
        block, on = mode

        async def child():
            return on()

        @block()
        async def decorated():
            return await asyncio.gather(child(), child())

        async def main():
            with block():
                within = await asyncio.gather(child(), asyncio.to_thread(on))
                late = asyncio.create_task(child())
            return within, await late, await decorated(), on()

        assert asyncio.run(main()) == ([True, True], False, [True, True], False)

    def test_one_object_serves_several_tasks(self, mode):
        block, on = mode
        shared = block()

        async def one(pauses):
            with shared:
                for _ in range(pauses):
                    await asyncio.sleep(0)
                    assert on()
            assert not on()

        async def main():
            await asyncio.gather(one(4), one(1), one(3), one(2))

        asyncio.run(main())

    def test_threads_do_not_meet(self, mode):
        block, on = mode
        shared = block()
        begun, ended = threading.Event(), threading.Event()

        def other():
            with shared:
                begun.set()
                ended.wait(10)
                return on()

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            inside_other = pool.submit(other)
            begun.wait(10)
            assert not on()
            with shared:
                assert on()
            assert not on()
            ended.set()
            assert inside_other.result()


class TestDecorated:
    def test_generators_keep_all_that_generators_do(self, mode):
        block, on = mode
        closed = []

        @block()
        def echo(first):
            """Say what comes."""
            given = first
            try:
                while given != "end":
                    assert on()
                    try:
                        given = yield given
                    except KeyError:
                        given = "caught"
            finally:
                closed.append(on())
            return "result"

        assert inspect.isgeneratorfunction(inspect.unwrap(echo)) and echo.__doc__ == "Say what comes."
        stream = echo(1)
        assert (next(stream), stream.send(2), stream.throw(KeyError()), on()) == (1, 2, "caught", False)
        with pytest.raises(StopIteration) as end:
            stream.send("end")
        assert end.value.value == "result"
        stream = echo(1)
        next(stream)
        stream.close()
        assert closed == [True, True]
        stream = echo(1)
        next(stream)
        with pytest.raises(ValueError, match="own"):
            stream.throw(ValueError("own"))

    def test_generators_go_from_thread_to_thread(self, mode):
        block, on = mode

        @block()
        def numbers():
            while True:
                yield on()

        stream = numbers()
        assert next(stream)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(next, stream).result() and not pool.submit(on).result()
        assert contextvars.Context().run(next, stream)
        stream.close()

    def test_coroutines(self, mode):
        block, on = mode

        @block()
        async def compute(x):
            await asyncio.sleep(0)
            return on(), x

        async def main():
            one, other = asyncio.create_task(compute(1)), asyncio.create_task(compute(2))
            await asyncio.sleep(0)
            assert not on()
            return await one, await other

        assert inspect.iscoroutinefunction(compute)
        assert asyncio.run(main()) == ((True, 1), (True, 2))

    def test_asynchronous_generators(self, mode):
        block, on = mode
        closed = []

        @block()
        async def echo(first):
            given = first
            try:
                while given != "end":
                    await asyncio.sleep(0)
                    assert on()
                    try:
                        given = yield given
                    except KeyError:
                        given = "caught"
            finally:
                await asyncio.sleep(0)
                closed.append(on())

        async def main():
            stream = echo(1)
            found = await anext(stream), await stream.asend(2), await stream.athrow(KeyError())
            assert found == (1, 2, "caught") and not on()
            with pytest.raises(StopAsyncIteration):
                await stream.asend("end")
            stream = echo(1)
            async for found in stream:
                assert found == 1 and not on()
                break
            await stream.aclose()

        asyncio.run(main())
        assert closed == [True, True]

    def test_functions_and_methods(self, mode):
        block, on = mode

        class Model:
            @block()
            def ask(self, x, *, y):
                return on(), x, y

        assert Model().ask(1, y=2) == (True, 1, 2) and not on()


class TestOneObject:
    def test_is_entered_again_and_again_and_inside_itself(self, mode):
        block, on = mode
        again = block()
        for _ in range(2):
            with again:
                with again:
                    assert on()
                assert on()
            assert not on()

    def test_leaves_the_block_of_whoever_leaves(self, mode):
        """A generator and its user have entered one object: each leaves its own block."""
        block, on = mode
        shared = block()

        def numbers():
            with shared:
                yield on()
            yield not on()

        for begins_inside in (False, True):
            stream = numbers()
            if not begins_inside:
                assert next(stream)
            with shared:
                if begins_inside:
                    assert next(stream)
                next(stream)
                assert on()
            assert not on()
            stream.close()


class TestInside:
    """Modes that chainrule itself switches: transforms record inside no_grad, rules may use infinities in strict."""

    def test_transforms_record_and_tell_the_surroundings(self):
        with cr.no_grad():
            assert cr.grad(lambda x: x**3)(2.0) == 12.0
            outer = Var(2.0)
            assert isinstance(cr.grad(lambda x: outer * x**2)(3.0), float)
        with inside.recording() as outside:
            assert outside

    def test_a_derivative_in_one_task_does_not_switch_recording_on_in_another(self):
        async def main():
            def f(x):
                assert recorded()
                return x * x

            with cr.no_grad():
                await asyncio.gather(asyncio.to_thread(cr.grad(f), 2.0), asyncio.to_thread(cr.grad(f), 2.0))
                assert not recorded()

        asyncio.run(main())

    def test_strict_and_lenient_nest(self):
        with cr.strict():
            with inside.lenient() as on:
                assert on and not searched()
                with cr.strict():
                    assert searched()
                assert not searched()
            assert searched()
        with inside.lenient() as on:
            assert not on
