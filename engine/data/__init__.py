"""What users hand over and get back: numbers, nested structures, tables of samples, files."""
