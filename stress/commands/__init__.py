"""The commands, one file each, named as typed: parse options, call an engine, print."""
