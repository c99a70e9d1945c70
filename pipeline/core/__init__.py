"""The science: arrays in, arrays out. It knows no file, no tool, no command line."""
