"""A tiny Linux: packets, links, routes, netfilter, conntrack, and a packet's walk through them.

The words Pod and Service do not occur here.
"""
