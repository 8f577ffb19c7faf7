"""The process in which a submission runs. Nothing here imports the rest of tinyres: see `main.py`."""
