"""The routes of the console, one module for each type of entity with its own routes, and for each other subject.

Each class holds the handlers of its routes and lists them in `routes()`.
"""
