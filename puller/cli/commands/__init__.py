"""The verbs, a module each: parse, call one function, render, exit."""
