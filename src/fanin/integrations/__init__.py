"""Where people work: the trainers of other libraries, each with a module of its own.

Nothing here is imported by `import fanin`: name the module, `fanin.integrations.lightning`.
"""
