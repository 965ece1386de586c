"""What happens when an operation runs on Vars: the node that records it, the reverse sweep, modes."""
