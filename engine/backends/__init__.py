"""Turn programs into something that runs: each module has `build(program, batched, reduce, threads) -> kernel`."""
