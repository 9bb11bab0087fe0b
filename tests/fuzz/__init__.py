"""Files and settings that nobody wrote on purpose, by the thousand: each has to end well or in one sentence.

PYTHONPATH=tests python -m fuzz --cases 10000          every kind, in processes with limits on time and memory
PYTHONPATH=tests python -m fuzz --kinds onnx --only 7  one case again, here, with its traceback
"""
