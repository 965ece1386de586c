"""What an operation is: `Primitive`, the table that holds each once, functions and operators made of rows."""
