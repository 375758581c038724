"""What the node takes beside its peers on the same machine, a command for each row; `python -m bench` for all."""
