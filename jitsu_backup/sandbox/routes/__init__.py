"""The routes of the console: one module each for what is asked of it.

A class has its handlers, which take a call, beside what they do, and lists them in `routes()`.
"""
