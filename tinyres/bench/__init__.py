"""The bench: kernels and training steps against the clock, the oracle and the roof of the machine.

settings    what is asked for              layers     the shapes of the paper's networks
problems    arrays, oracle, check          clock      contenders in turns
roof        peak arithmetic, bandwidth     outside    a person's kernels, a peer
measure     the run                        steps      whole training steps
results     rows and their table           record     bench.json
against     two files compared             figure     the roofline
"""
