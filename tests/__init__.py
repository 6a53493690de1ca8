"""The tests of puller.

`unit/` mirrors the packages of `puller/`; `engine/` and `faults/` run puller against real engines and registries;
`project/` checks what stands around the package (README, wheel, config/, scripts/); `lab/` holds no tests: it starts
engines and registries, and has the helpers that tests share.
"""
