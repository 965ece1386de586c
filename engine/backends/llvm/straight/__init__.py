"""Write programs without loops as functions of a few hundred steps, scheduled for the registers."""
