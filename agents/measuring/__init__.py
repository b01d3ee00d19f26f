"""``waggle eval agent``: what the agent's calls and runs are worth, measured case by case.

A set (`agents.measuring.types.TaskSet`) brings its cases and the ways of doing one of them
(`Trial`); `agents.measuring.running.measure` does every case in every way, keeps each `Outcome` in
a run's file, and `agents.measuring.figuring` makes figures of them. A new set is a module with a
`TaskSet`, named in `agents.measuring.sets`.
"""
