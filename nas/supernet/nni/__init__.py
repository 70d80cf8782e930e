"""NNI behind our seams: one-shot supernet training and evolution. The only folder that imports nni, and only on use.

`sharing` and `settings` need no NNI; every other module asks `environment.require_nni` before it imports any of it.
"""
